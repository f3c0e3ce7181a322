/** What a reader sees of a lowered program: the IR in print, places in the model's source, the model's own names. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { lowerFiles, lowerFilesTimed } from '../../../compiler/frontend/lower.ts'
import { printProgram } from '../../../compiler/ir/print.ts'
import type { Func, Inst } from '../../../compiler/ir/ir.ts'
import { print } from '../../../dsl/errors.ts'

const path = 'test/compiler/frontend/fixtures/printed.ts'
const lowered = lowerFiles([path], 'test/compiler/frontend/fixtures')
const programs = lowered._tag === 'Right' ? lowered.right : []
const program = (name: string) => {
  const found = programs.find(p => p.name === `printed/${name}`)
  if (found === undefined) throw new Error(lowered._tag === 'Left' ? print(lowered.left) : `no ${name}`)
  return found
}
const all = (func: Func): readonly Inst[] => func.insts.flatMap(i => (i.kind === 'scan' ? [i, ...all(i.body)] : [i]))

test('a program in print', () => {
  assert.is(printProgram(program('addMul')), [
    '// test/compiler/frontend/fixtures/printed.ts:4',
    'program printed/addMul N=3',
    '(%0 x : f32[3], %1 y : f32[3]) => {',
    '  %2 total : f32[3] = add %0, %1   // test/compiler/frontend/fixtures/printed.ts:5:17',
    '  %3 : f32[3] = mul %2, %1   // test/compiler/frontend/fixtures/printed.ts:6:10',
    '  return %3',
    '}',
    '// result 0: %3',
  ].join('\n'))
})

test('a loop captures what it reads from outside, once, before its carries', () => {
  const [scan] = program('loop').func.insts.filter(i => i.kind === 'scan')
  if (scan?.kind !== 'scan') throw new Error('no scan')
  assert.is(scan.consts.length, 1)
  assert.equal(scan.consts, [0], 'w, which two nested bodies read')
  assert.is(scan.body.params.length, 3)
  assert.is(scan.length, 4)
})

test('values carry the name that the model gives them; the names of the language do not show', () => {
  const insts = all(program('names').func)
  assert.equal([...new Set(insts.map(i => i.origin.name))].sort(), ['gate', 'hidden', 'out'])
  assert.ok(insts.every(i => i.origin.file === path), 'every place is in the model')
})

test('a name reaches into the helper that computes the value, until the helper names its own', () => {
  const insts = all(program('helper').func)
  assert.equal(insts.map(i => i.origin.name).filter(n => n !== ''), ['inner', 'result'])
})

test('arguments are named by path, in gradients too', () => {
  assert.equal(program('gradient').func.params.map(p => p.path), ['p.layer.weight', 'p.layer.bias', 'x', 'y'])
  assert.equal(program('gradient').outputs.slice().sort(), ['layer.bias', 'layer.weight'])
  assert.equal(program('unnamed').func.params.map(p => p.path), ['arg0.a', 'arg1[0]', 'z'])
})

test('the sources of a program are its imports, the language included, and the options of the project', () => {
  const sources = program('addMul').sources.map(s => s.replace(`${process.cwd()}/`, ''))
  for (const expected of [path, 'test/compiler/frontend/fixtures/language.ts', 'dsl/program.ts', 'dsl/core/apply.ts', 'tsconfig.json']) assert.ok(sources.includes(expected), expected)
  assert.ok(!sources.some(s => s.includes('node_modules')), 'no packages')
  assert.equal(sources, sources.slice().sort())
})

test('the same source lowers to the same programs', () => {
  const again = lowerFilesTimed([path], 'test/compiler/frontend/fixtures')
  assert.is(again._tag === 'Right' ? JSON.stringify(again.right.programs) : '', JSON.stringify(programs))
})

test.run()
