/** What the studio trains is what `vdsm train` trains: the same batches, keys and schedule, the same losses to the last bit. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../../compiler/compile.ts'
import { print } from '../../../dsl/errors.ts'
import { open } from '../../../runtime/browser.ts'
import { main } from '../../../runtime/cli.ts'
import { nodeHost } from '../../../runtime/device/node.ts'
import { configsOf, openSession, type Session } from '../../../runtime/studio/session.ts'

const folder = mkdtempSync(join(tmpdir(), 'vdsm-studio-'))
const build = join(folder, 'build')
const models = resolve('test/runtime/support/train')
const STEPS = 6
const settings = { config: 'tiny', seed: 3, steps: STEPS } as const

test.before(async () => {
  const files = [join(models, 'vdsm/tiny/frames.ts')]
  const compiled = await compile({ files, root: models, out: build, force: true, targets: ['wasm'], onBuilt: () => undefined })
  if (E.isLeft(compiled)) throw new Error(print(compiled.left))
})
test.after(() => rmSync(folder, { recursive: true, force: true }))

const begin = async (): Promise<Session> => openSession(await open(nodeHost(build)), settings, { device: 'wasm', threads: 1 })

/** Runs a command without its words. */
const quietly = async (argv: readonly string[]): Promise<number> => {
  const { stdout, stderr } = process
  const [out, err] = [stdout.write, stderr.write]
  stdout.write = stderr.write = (() => true) as typeof stdout.write
  try {
    return await main(argv)
  } finally {
    stdout.write = out
    stderr.write = err
  }
}

test('the losses of vdsm train, to the bit', async () => {
  const run = join(folder, 'run')
  const code = await quietly(
    ['train', '--config', 'tiny', '--stage', '1', '--steps', String(STEPS), '--seed', '3', '--build', build, '--out', run, '--device', 'wasm'])
  assert.is(code, 0, readdirSync(folder).join(' '))
  const lines = readFileSync(join(run, 'metrics.jsonl'), 'utf8').trim().split('\n')
    .map(text => JSON.parse(text) as { readonly step: number; readonly loss?: number })
  const expected = lines.flatMap(({ step, loss }) => (loss === undefined ? [] : [[step, loss]]))
  const session = await begin()
  // Several under way at once, as the page has them; pictures in between change nothing.
  const first = await Promise.all([session.next(), session.next()])
  await session.pictures()
  const rest = await Promise.all(Array.from({ length: STEPS - 2 }, () => session.next()))
  assert.equal([...first, ...rest], expected)
})

test('the grid of swaps shows the given pictures, and what the model makes of them', async () => {
  const session = await begin()
  const { blank } = session
  const cell = blank.side * blank.side * 4
  assert.is(blank.pixels.length, (blank.rows + blank.columns) * cell)
  await session.next()
  const { pixels, rows, columns, step, drawn } = await session.pictures()
  assert.ok(drawn)
  assert.is(step, 1)
  assert.is(pixels.length, (rows + columns + rows * columns) * cell)
  assert.equal(pixels.slice(0, blank.pixels.length), blank.pixels)
  assert.ok(pixels.subarray(blank.pixels.length).some((x, i) => i % 4 !== 3 && x > 0), 'the cells are not black')
  const heads = Array.from({ length: columns }, (_, j) => pixels.slice(j * cell, (j + 1) * cell).join())
  assert.is(new Set(heads).size, columns, 'every pose is another')
})

test('the configurations of the build are those that it can train', async () => {
  assert.equal(configsOf(await open(nodeHost(build))), ['tiny'])
  const refused = await open(nodeHost(build)).then(opened => opened.load('vdsm/tiny/frames/nothing')).catch((error: unknown) => String(error))
  assert.match(String(refused), /no program 'vdsm\/tiny\/frames\/nothing'/)
})

test('the command serves the build, names the address of what it can train, and ends when it is asked to', async () => {
  const child = spawn(process.execPath, [resolve('runtime/vdsm.mjs'), 'studio', '--no-open', '--port', '0', '--build', build], { cwd: folder })
  let [out, err] = ['', '']
  child.stderr.on('data', (part: Buffer) => { err += part.toString() })
  const ended = new Promise<number | null>(done => child.on('close', done))
  await Promise.race([ended, new Promise<void>(done => child.stdout.on('data', (part: Buffer) => {
    out += part.toString()
    if (out.includes('\n')) done()
  }))])
  const address = /at (http:\/\/127\.0\.0\.1:\d+\/)\?config=tiny&steps=200 /.exec(out)?.[1]
  assert.ok(address !== undefined, out + err)
  const answer = await fetch(address ?? '')
  assert.match(await answer.text(), /<title>VDSM studio<\/title>/)
  child.kill('SIGINT')
  assert.equal([await ended, err], [0, ''])
})

test.run()
