/** Files and projects: a user's own project with the package installed, links, options, and what is wrong with paths. */
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { lowerFiles } from '../../../compiler/frontend/lower.ts'
import { print } from '../../../dsl/errors.ts'

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'vdsm-frontend-')))
test.after(() => rmSync(folder, { recursive: true, force: true }))

const write = (name: string, text: string): string => {
  const file = join(folder, name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  return file
}
const lower = (files: readonly string[], root = folder) => lowerFiles(files, root, folder)
const message = (files: readonly string[]): string => {
  const result = lower(files)
  return result._tag === 'Left' ? print(result.left) : `lowered ${result.right.map(p => p.name).join(', ')}`
}

/** A project that has the package: the way npm installs a folder (a link), or a tarball (a copy). */
const project = (name: string, install: (to: string) => void): string => {
  mkdirSync(join(folder, name, 'node_modules'), { recursive: true })
  install(join(folder, name, 'node_modules', 'vdsm'))
  write(`${name}/package.json`, '{ "name": "mine", "type": "module" }')
  return write(`${name}/model.ts`, [
    "import { add, program, relu, type Vec } from 'vdsm'",
    "import { linear, type Linear } from 'vdsm/nn'",
    "import { normal } from 'vdsm/prob'",
    "export const layer = program((p: Linear<3, 'O'>, x: Vec<3>) => relu(linear(p, x)), { O: 2 } as const)",
    'export const site = program((x: Vec<3>) => normal(x, add(x, 1)), {})',
  ].join('\n'))
}

test('a project of the user\'s own, the package linked', () => {
  const file = project('linked', to => symlinkSync(process.cwd(), to))
  const result = lower([file], join(folder, 'linked'))
  if (result._tag === 'Left') throw new Error(print(result.left))
  const [layer, site] = result.right
  assert.is(layer?.name, 'model/layer')
  assert.equal(layer?.func.params.map(p => [p.path, p.aval.shape]), [['p.weight', [2, 3]], ['p.bias', [2]], ['x', [3]]])
  assert.equal(site?.outputs, ['loc', 'scale'])
})

test('a project of the user\'s own, the package copied', () => {
  const file = project('copied', to => {
    mkdirSync(to)
    cpSync('dsl', join(to, 'dsl'), { recursive: true })
    cpSync('package.json', join(to, 'package.json'))
    cpSync('node_modules/fp-ts', join(to, '..', 'fp-ts'), { recursive: true })
  })
  assert.is(message([file]), 'lowered copied/model/layer, copied/model/site')
})

test('a linked project is found under either path', () => {
  const file = project('real', to => symlinkSync(process.cwd(), to))
  symlinkSync(dirname(file), join(folder, 'alias'))
  assert.is(message([join(folder, 'alias', 'model.ts')]), 'lowered real/model/layer, real/model/site')
})

test('what is wrong with paths', () => {
  assert.is(message([join(folder, 'none.ts')]).split('\n')[0], `${join(folder, 'none.ts')}: there is no such file`)
  assert.is(message([write('notes.md', '# no')]).split('\n')[0], `${join(folder, 'notes.md')}: not a TypeScript source`)
  assert.is(message([folder]).split('\n')[0], `${folder}: not a file`)
  assert.ok(message([write('empty.ts', 'export const x = 1\n')]).startsWith(`no programs in ${join(folder, 'empty.ts')}`))
  assert.ok(message([write('broken.ts', 'export const x = (\n')]).includes('Expression expected. (TS1109)'))
})

test('options that do not fit, broken options, and a program without a name', () => {
  const file = project('options', to => symlinkSync(process.cwd(), to))
  write('options/tsconfig.json', '{ "compilerOptions": { "target": "es5", "module": "commonjs", "moduleResolution": "node10", "strict": false, "ignoreDeprecations": "6.0" } }')
  assert.is(message([file]), 'lowered options/model/layer, options/model/site')
  write('options/tsconfig.json', '{ "compilerOptions": ')
  assert.ok(message([file]).startsWith(`${join(folder, 'options/tsconfig.json')}: `), message([file]))
  rmSync(join(folder, 'options/tsconfig.json'))
  const nameless = write('options/nameless.ts', "import { program, relu, type Vec } from 'vdsm'\nexport default program((x: Vec<3>) => relu(x), {})\n")
  assert.ok(message([nameless]).startsWith('options/nameless.ts:2:1  a program needs a name'), message([nameless]))
})

test('two files of one name outside the root clash', () => {
  const file = project('one', to => symlinkSync(process.cwd(), to))
  const other = project('two', to => symlinkSync(process.cwd(), to))
  const result = lowerFiles([file, other], join(folder, 'elsewhere'), folder)
  assert.ok(result._tag === 'Left' && print(result.left).includes('two programs are named model/layer; the other is at one/model.ts:4'))
})

test('the mistakes of several files come together, and a good file beside a bad one is not blamed', () => {
  const head = "import { add, program, relu, type Vec } from 'vdsm'\n"
  project('both', to => symlinkSync(process.cwd(), to))
  const a = write('both/a.ts', `${head}export const a = program((x: Vec<3>, y: Vec<4>) => add(x, y as never as Vec<3>), {})\n`)
  const b = write('both/b.ts', `${head}export const b = program((x: Vec<3>, y: Vec<4>) => relu(add(x, y)), {})\n`)
  const text = message([a, b, join(folder, 'both/model.ts')])
  assert.ok(text.includes('both/b.ts:2:64  add: left is [3], right is [4]'), text)
  assert.ok(text.includes('both/a.ts:2:52  add: left is [3], right is [4] [3 != 4]'), text)
  assert.not.ok(text.includes('model.ts'), text)
})

test.run()
