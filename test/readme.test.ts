/** The README's example, word for word: it compiles to the kernel shown, its mistake is told as shown, and its caller runs. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

const readme = readFileSync('README.md', 'utf8')
const all = [...readme.matchAll(/^```(\w*)\n(.*?)^```$/gms)]
const blocks = (language: string): readonly string[] => all.filter(found => found[1] === language).map(found => found[2] ?? '')
const [model = '', use = ''] = blocks('ts')
const [kernel = '', mistake = ''] = blocks('')

// Below the package, where its own name can be imported.
const folder = mkdtempSync(resolve('test/compiler/fixtures/tmp-readme-'))
test.after(() => rmSync(folder, { recursive: true, force: true }))

const run = (...args: readonly string[]): { readonly status: number | null; readonly out: string; readonly err: string } => {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8', timeout: 60_000, env: { ...process.env, FORCE_COLOR: '0' } })
  return { status, out: stdout, err: stderr }
}
const compile = (...args: readonly string[]) => run(resolve('runtime/vdsm.mjs'), 'compile', 'model.ts', ...args)

test('the program compiles to as many kernels as it says, one of them as shown', () => {
  writeFileSync(join(folder, 'model.ts'), model)
  const { status, out, err } = compile('--explain')
  assert.is(status, 0, err)
  assert.ok(out.includes(kernel), `${kernel}\n${out}`)
  assert.match(readme, new RegExp(`turns \`step\` into ${out.match(/^kernel /gm)?.length} kernels`))
})

test('the caller runs', () => {
  writeFileSync(join(folder, 'use.ts'), use)
  const { status, out, err } = run('--import', 'tsx', 'use.ts')
  assert.is(status, 0, err)
  assert.match(out, /^\d+\.\d+ \d+\.\d+\n$/, out)
})

test('the mistake is told as shown', () => {
  writeFileSync(join(folder, 'model.ts'), model.replace('Linear<64, 2>', 'Linear<63, 2>'))
  const { status, err } = compile()
  assert.is(status, 1)
  // The message also shows the line before, which is empty, and the comment at the end of the line.
  assert.is(err.split('\n').filter(line => !/^ +\d+ \|$/.test(line)).map(line => line.replace(/ +\/\/ .*$/, '')).join('\n'), mistake)
})

test.run()
