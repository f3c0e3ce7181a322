/** Every refusal with its text, its place and the way out. Expectations stand beside the mistakes, in the fixtures. */
import { readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { lowerFiles } from '../../../compiler/frontend/lower.ts'
import { print, type Failure } from '../../../dsl/errors.ts'

type Source = Extract<Failure, { readonly kind: 'source' }>

const failuresOf = (file: string): readonly Source[] => {
  const result = lowerFiles([file], 'test')
  if (result._tag === 'Right') return []
  const all = result.left.kind === 'sources' ? result.left.all : [result.left]
  return all.map(f => {
    if (f.kind !== 'source') throw new Error(print(f))
    return f
  })
}

type Expectation = { readonly line: number; readonly name: string; readonly message: string; readonly remedy: string }

/** `//! message :: remedy` above the line that it is about. */
const expectations = (file: string): readonly Expectation[] => {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.flatMap((text, i) => {
    if (!text.startsWith('//! ')) return []
    const [message = '', remedy = ''] = text.slice(4).split('::').map(part => part.trim())
    return [{ line: i + 2, name: /export const (\w+)/.exec(lines[i + 1] ?? '')?.[1] ?? `line ${i + 2}`, message, remedy }]
  })
}

for (const file of ['test/compiler/frontend/fixtures/refused.ts', 'test/compiler/frontend/fixtures/mistyped.ts']) {
  const failures = failuresOf(file)
  const expected = expectations(file)
  const touches = (f: Source, line: number): boolean => (f.at.line === line && f.at.file === file) || (f.trace ?? []).some(p => p.line === line && p.file === file)
  for (const e of expected) {
    test(`${e.name}: ${e.message}`, () => {
      const here = failures.filter(f => touches(f, e.line))
      assert.is(here.length, 1, `one failure at ${file}:${e.line}, found ${here.map(f => `${f.at.line}:${f.at.column} ${f.message}`).join('; ') || 'none'}`)
      const [f] = here
      assert.ok(f?.message.includes(e.message), `expected  ${e.message}\nactual    ${f?.message}`)
      assert.ok((f?.remedy ?? '').includes(e.remedy), `expected  ${e.remedy}\nactual    ${f?.remedy}`)
      assert.ok(f?.frame?.includes('^'), 'a code frame')
    })
  }
  test(`${file}: nothing else is refused`, () => {
    const others = failures.filter(f => !expected.some(e => touches(f, e.line)))
    assert.equal(others.map(f => `${f.at.line}: ${f.message}`), [])
  })
}

test('a shape error as it is printed: one line, a code frame, carets under the argument', () => {
  const f = failuresOf('test/compiler/frontend/fixtures/mistyped.ts').find(x => x.message.startsWith('matmul'))
  assert.is(f === undefined ? '' : print(f).split('\n').slice(0, 4).join('\n'), [
    'test/compiler/frontend/fixtures/mistyped.ts:8:82  matmul: left is [2, 3], right is [5, 4] [3 != 5]',
    '    7 | //! matmul: left is [2, 3], right is [5, 4] ::',
    '  > 8 | export const inner = program((x: Tensor<[2, 3]>, y: Tensor<[5, 4]>) => matmul(x, y), {})',
    '      |                                                                                  ^',
  ].join('\n'))
})

test('a failure within a helper names the calls that led to it', () => {
  const f = failuresOf('test/compiler/frontend/fixtures/trace.ts')[0]
  assert.is(f?.at.line, 5)
  assert.equal(f?.trace?.map(p => p.line), [8, 11, 10])
})

test.run()
