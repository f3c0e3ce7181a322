/**
 * Batches ahead of time: the bits are those of drawing in the loop, refusals are the same, nothing depends on this thread
 * hearing anything, and processes end as if there were no worker - also where the package lies in another project.
 */
import { spawnSync, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Refusal, type Failure } from '../../dsl/errors.ts'
import { openAhead, type Ahead } from '../../runtime/data/ahead.ts'
import { FRAME, type BatchRequest } from '../../runtime/data/dataset.ts'
import { openData } from '../../runtime/data/open.ts'

const config = { name: 'pendulum', splitSeed: 4 } as const
const data = openData(config)
const request = (step: number): BatchRequest => ({ split: 'train', groups: 3, frames: 4, seed: 7, step, order: 'sequence' })
const size = 3 * 4 * FRAME

const folder = mkdtempSync(join(tmpdir(), 'vdsm-ahead-'))
test.after(() => rmSync(folder, { recursive: true, force: true }))

/** Sleeps without hearing anything, as a program that runs does. */
const block = (milliseconds: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)

const sameBits = (a: Float32Array, b: Float32Array): boolean => Buffer.compare(Buffer.from(a.buffer), Buffer.from(b.buffer)) === 0

/** Takes steps and compares them with drawing in the loop. */
const follow = async (ahead: Ahead, from: number, to: number): Promise<void> => {
  for (let step = from; step <= to; step++) {
    const into = new Float32Array(size).fill(7)
    const { waited } = await ahead.next(step, into)
    assert.ok(waited >= 0)
    assert.ok(sameBits(into, data.batch(request(step)).x), `step ${step}`)
    block(5)
  }
}

const failureOf = async (promise: Promise<unknown>): Promise<Failure> => {
  const error = await promise.then(() => undefined, (thrown: unknown) => thrown)
  if (error instanceof Refusal) return error.failure
  throw new Error(`no refusal: ${String(error)}`)
}

test('the same bits as in the loop, from any step, with and without the data set at hand', async () => {
  for (const given of [{}, { data }]) {
    const ahead = openAhead(config, request, 5, { last: 40, ...given })
    await follow(ahead, 5, 40)
    assert.is(ahead.obstacle(), null)
    await ahead.close()
  }
})

test('a batch that is ready is there without this thread having heard of it', async () => {
  const ahead = openAhead(config, request, 0, { last: 9 })
  await follow(ahead, 0, 0)
  block(1000) // the worker needs a millisecond
  let turned = false
  setImmediate(() => { turned = true })
  await ahead.next(1, new Float32Array(size))
  assert.not.ok(turned)
  await ahead.close()
})

test('nothing is drawn beyond the last step, and a step out of order is refused', async () => {
  const asked: number[] = []
  const ahead = openAhead(config, step => { asked.push(step); return request(step) }, 0, { last: 3 })
  await follow(ahead, 0, 3)
  assert.is(Math.max(...asked), 3)
  assert.is((await failureOf(ahead.next(6, new Float32Array(size)))).kind, 'bug')
  await ahead.close()
})

test('what drawing refuses is refused at that step, in the same words', async () => {
  const long = (step: number): BatchRequest => ({ ...request(step), ...(step === 2 ? { frames: 17, groups: 1 } : {}) })
  const words = await failureOf(Promise.resolve().then(() => data.batch({ ...long(2), into: new Float32Array(17 * FRAME) })))
  const wrong = await failureOf(Promise.resolve().then(() => data.batch({ ...long(2), into: new Float32Array(size) })))
  const ahead = openAhead(config, long, 0, { last: 9 })
  await follow(ahead, 0, 1)
  assert.equal(await failureOf(ahead.next(2, new Float32Array(size))), wrong)
  await ahead.close()
  const first = openAhead(config, () => long(2), 0, { last: 9 })
  assert.equal(await failureOf(first.next(0, new Float32Array(17 * FRAME))), words)
  await first.close()
  const small = openAhead(config, request, 0, { last: 9 })
  const room = new Float32Array(5)
  assert.equal(await failureOf(small.next(0, room)), await failureOf(Promise.resolve().then(() => data.batch({ ...request(0), into: room }))))
  await small.close()
})

test('a data set that cannot be opened is refused, in the same words', async () => {
  const nowhere = { name: 'sprites', splitSeed: 0, folder: join(folder, 'nowhere') } as const
  const ahead = openAhead(nowhere, request, 0, { last: 9 })
  assert.equal(await failureOf(ahead.next(0, new Float32Array(size))), await failureOf(Promise.resolve().then(() => openData(nowhere))))
  await ahead.close()
})

test('without shared memory, and after the worker is gone, batches are drawn in place', async () => {
  const kept = Object.getOwnPropertyDescriptor(globalThis, 'SharedArrayBuffer') as PropertyDescriptor
  Reflect.deleteProperty(globalThis, 'SharedArrayBuffer')
  const ahead = ((): Ahead => {
    try {
      return openAhead(config, request, 0, { last: 5 })
    } finally {
      Object.defineProperty(globalThis, 'SharedArrayBuffer', kept)
    }
  })()
  assert.match(ahead.obstacle() ?? '', /SharedArrayBuffer/)
  await follow(ahead, 0, 5)
  await ahead.close()
  const gone = openAhead(config, request, 0, { last: 9 })
  await follow(gone, 0, 3)
  await gone.close()
  await follow(gone, 4, 9)
  assert.is(gone.obstacle(), 'it has ended')
})

/** Another project with the package in its node_modules, and a script that draws `steps` batches, says what happened, and then does `end`. */
const project = join(folder, 'project')
const script = (name: string, steps: number, end: string): string => {
  const path = join(project, name)
  writeFileSync(path, `
    import { openAhead } from './node_modules/vdsm/runtime/data/ahead.ts'
    const request = (step: number) => ({ split: 'train' as const, groups: 3, frames: 4, seed: 7, step })
    const ahead = openAhead({ name: 'pendulum', splitSeed: 4 }, request, 0, { last: 1e6 })
    const into = new Float32Array(${size})
    for (let step = 0; step < ${steps}; step++) await ahead.next(step, into)
    process.stdout.write(\`drawn \${String(ahead.obstacle())}\\n\`)
    ${end}
  `)
  return path
}
const node = (...args: readonly string[]) => spawnSync(process.execPath, ['--import', 'tsx', ...args], { cwd: project, encoding: 'utf8', timeout: 60_000 })

test.before(() => {
  const modules = join(project, 'node_modules')
  mkdirSync(join(modules, 'vdsm'), { recursive: true })
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }')
  for (const part of ['runtime', 'dsl', 'package.json']) cpSync(resolve(part), join(modules, 'vdsm', part), { recursive: true })
  for (const name of readdirSync('node_modules')) symlinkSync(resolve('node_modules', name), join(modules, name))
})

test('in another project; the worker never keeps a process alive, nor delays what ends it', () => {
  const ended = (path: string) => { const { status, stdout, stderr } = node(path); return [status, stdout.trim(), stderr.includes('on purpose')] }
  assert.equal(ended(script('end.ts', 20, '')), [0, 'drawn null', false])
  assert.equal(ended(script('early.ts', 0, '')), [0, 'drawn null', false])
  assert.equal(ended(script('exit.ts', 3, 'process.exit(7)')), [7, 'drawn null', false])
  assert.equal(ended(script('error.ts', 3, "throw new Error('on purpose')")), [1, 'drawn null', true])
})

test('a signal ends a process in the midst of it', async () => {
  const child = spawn(process.execPath, ['--import', 'tsx', script('signal.ts', 3, 'for (let step = 3; ; step++) await ahead.next(step, into)')],
    { cwd: project })
  const end = new Promise(done => child.on('exit', (_, signal) => done(signal)))
  await new Promise(done => child.stdout.once('data', done))
  child.kill('SIGINT')
  assert.is(await end, 'SIGINT')
})

test('where the worker cannot be started, batches are drawn in place', () => {
  rmSync(join(project, 'node_modules', 'vdsm', 'runtime', 'data', 'ahead-worker.mjs'))
  const { status, stdout, stderr } = node(script('end.ts', 3, ''))
  assert.is(status, 0, stderr)
  assert.match(stdout, /^drawn Cannot find module/)
})

test.run()
