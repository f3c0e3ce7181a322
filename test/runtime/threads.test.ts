/**
 * Programs on worker threads: the same bits for any number of them, failures on any thread, threads that cannot be had,
 * and processes that end whatever their workers are doing.
 */
import * as E from 'fp-ts/lib/Either.js'
import { spawn } from 'node:child_process'
import { readFileSync, rmSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../compiler/compile.ts'
import { print, Refusal } from '../../dsl/errors.ts'
import { main } from '../../runtime/cli.ts'
import { loadProgram, openBuild, type LocalOptions } from '../../runtime/build.ts'
import type { Host, Threads } from '../../runtime/device/host.ts'
import { nodeHost } from '../../runtime/device/node.ts'
import type { LocalExecutable } from '../../runtime/executor.ts'
import { orThrow } from '../../runtime/train/task.ts'
import { toyBuild } from './toy.ts'
import { meetBuild } from './support/threads-module.ts'

const folder = mkdtempSync(join(tmpdir(), 'vdsm-threads-'))
test.after(() => rmSync(folder, { recursive: true, force: true }))

const ready = async (host: Host, id: string, options: LocalOptions): Promise<LocalExecutable> => {
  const loaded = await loadProgram(host, id, options)()
  if (E.isLeft(loaded)) throw new Refusal(loaded.left)
  return loaded.right
}

const refusal = async (f: () => unknown): Promise<string> => {
  try {
    await f()
  } catch (error) {
    if (error instanceof Refusal) return print(error.failure)
    throw error
  }
  throw new Error('nothing was refused')
}

const bits = (program: LocalExecutable): readonly (readonly number[])[] =>
  program.program.outputs.map(({ path }) => [...new Uint32Array(program.get(path).buffer)])

/** Seeded numbers in [-0.25, 0.25), and whole ones for keys. */
const fill = (program: LocalExecutable, seed: number): void => {
  let state = seed
  const next = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
  for (const { path, shape, dtype } of program.program.inputs) {
    const one = (): number => (dtype === 'f32' ? next() / 2 - 0.25 : Math.floor(next() * 1000))
    program.set(path, Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, one))
  }
}

const names = ['step', 'fresh', 'recurrence', 'chain']

test.before(async () => {
  const root = resolve('test/runtime/support')
  const compiled = await compile({ files: [join(root, 'threads-model.ts')], root, out: folder, force: true, onBuilt: () => undefined })
  if (E.isLeft(compiled)) throw new Error(print(compiled.left))
  // So small that no second thread would be of use to them.
  const path = join(folder, 'manifest.json')
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll(/"threads": \d+/g, '"threads": 8'))
})

/** All programs at once, called in turn; what each gave in each round. */
const rounds = async (threads: number): Promise<unknown> => {
  const programs = await Promise.all(names.map(name => ready(nodeHost(folder), `threads-model/${name}`, { threads })))
  programs.forEach((program, i) => {
    assert.is(program.threads, threads)
    assert.match(program.variant, threads === 1 ? /, 1 thread$/ : new RegExp(`, ${threads} threads$`))
    fill(program, i)
  })
  const [step] = programs
  const results: unknown[] = []
  for (let round = 0; round < 4; round++) {
    for (const program of programs) {
      program.run()
      results.push(bits(program))
    }
    step?.feed('state', 'state')
  }
  // The steps of a program one by one are the whole of it.
  for (const program of programs) {
    program.run()
    const whole = bits(program)
    program.program.outputs.forEach(({ path }) => program.view(path).fill(0))
    for (let i = 0; i < program.steps; i++) program.runStep(i)
    assert.equal(bits(program), whole)
  }
  return results
}

test('any number of threads gives the same bits', async () => {
  const one = await rounds(1)
  for (const threads of [2, 3, 5]) assert.equal(await rounds(threads), one, `${threads} threads`)
})

test('a program that is called while others are being loaded gives the same bits', async () => {
  const chain = await ready(nodeHost(folder), 'threads-model/chain', { threads: 3 })
  fill(chain, 1)
  chain.run()
  const expected = bits(chain)
  const loading = names.map(name => ready(nodeHost(folder), `threads-model/${name}`, { threads: 4 }))
  for (let i = 0; i < 20; i++) {
    chain.view('y').fill(0)
    chain.run()
    assert.equal(bits(chain), expected)
    await new Promise(done => setImmediate(done))
  }
  await Promise.all(loading)
})

test('no more threads than are of use to the program, than the machine has, or than were asked for', async () => {
  const host = nodeHost(meetBuild(program => ({ ...program, threads: 3 })))
  const load = async (options: LocalOptions, available: number): Promise<number> =>
    (await ready({ ...host, threads: { ...host.threads, available: () => available } }, 'threads/meet', options)).threads
  assert.equal([await load({}, 1), await load({}, 2), await load({}, 64), await load({ threads: 2 }, 1), await load({ threads: 64 }, 64)], [1, 2, 3, 2, 3])
  const one = await ready(host, 'threads/meet', { threads: 1 })
  assert.not(one.view('').buffer instanceof SharedArrayBuffer)
  assert.ok((await ready(host, 'threads/meet', { threads: 2 })).view('').buffer instanceof SharedArrayBuffer)
})

test('numbers of threads that cannot be meant are refused', async () => {
  const host = nodeHost(toyBuild().build)
  for (const threads of [0, -1, 1.5, NaN, 65]) {
    assert.match(await refusal(() => ready(host, 'toy/step', { threads })), new RegExp(`threads: expected a whole number from 1 to 64, got ${threads}`))
  }
  assert.match(await refusal(() => ready(host, 'toy/step', { device: 'eager', threads: 2 })), /the eager device runs on one thread, not on 2/)
  assert.is((await ready(host, 'toy/step', { device: 'eager', threads: 1 })).threads, 1)
})

test('devices that there are not are refused, with those that there are', async () => {
  const { loadOn } = await orThrow(openBuild(nodeHost(toyBuild().build)))
  const on = (device: string) => refusal(async () => orThrow(loadOn('toy/step', { device: device as 'wasm' }))) // as JavaScript may
  assert.match(await on('auto'), /^device: expected wasm, eager, webgpu, webgl, got 'auto'\n {2}Choose one of these\.$/)
  assert.match(await refusal(() => ready(nodeHost(toyBuild().build), 'toy/step', { device: 'webgl' as 'wasm' })),
    /^device: expected wasm, eager, got 'webgl'\n {2}What runs on webgl gives promises: load it with loadOn\.$/)
})

test('--threads is read by run, train and bench alike', async () => {
  const { build } = toyBuild()
  const said: string[] = []
  const write = process.stderr.write
  process.stderr.write = (text: string | Uint8Array) => (said.push(String(text)), true)
  try {
    for (const command of [['run', 'toy/step', '--out', 'x.npz'], ['train'], ['bench', 'toy/step']]) {
      for (const given of ['0', '65', '2.5', 'all']) {
        assert.is(await main([...command, '--build', build, '--threads', given]), 2, `${command[0]} --threads ${given}`)
        assert.match(said.pop() ?? '', new RegExp(`'--threads <n>' argument '${given}' is invalid. Expected a whole number from 1 to 64.`))
      }
    }
  } finally {
    process.stderr.write = write
  }
})

for (const threads of [2, 3, 5]) {
  test(`a failure on one of ${threads} threads ends the others, is told, and leaves the pool fit for use`, async () => {
    const host = nodeHost(meetBuild())
    const [meet, other] = [await ready(host, 'threads/meet', { threads }), await ready(host, 'threads/meet', { threads })]
    other.set('fail', [-1])
    const counts = (): readonly number[] => [...meet.view('')].slice(0, threads)
    for (const [failing, calls] of [[threads - 1, 1], [0, 2], [1, 3]] as const) {
      meet.view('').fill(0)
      meet.set('fail', [-1])
      for (let i = 0; i < calls; i++) meet.run()
      assert.equal(counts(), Array(threads).fill(calls))
      meet.set('fail', [failing])
      assert.is(await refusal(() => meet.run()), `internal error in threads/meet, thread ${failing + 1} of ${threads}: divide by zero\n`
        + '  This is a bug of vdsm; please report it with the file that caused it.')
      assert.match(await refusal(() => meet.runStep(0)), /divide by zero/)
      other.run()
    }
    meet.set('fail', [-1])
    meet.view('').fill(0)
    meet.run()
    assert.equal(counts(), Array(threads).fill(1))
    assert.equal([...other.view('')].slice(0, threads), Array(threads).fill(3))
  })
}

/** A host whose threads are its own. */
const hostWith = (change: (threads: Threads) => Partial<Threads>): Host => {
  const host = nodeHost(meetBuild())
  return { ...host, threads: { ...host.threads, ...change(host.threads) } }
}

const aloneBecause = async (host: Host, reason: RegExp): Promise<void> => {
  const meet = await ready(host, 'threads/meet', { threads: 4 })
  meet.set('fail', [-1])
  meet.run()
  assert.equal([...meet.view('')].slice(0, 3), [1, 0, 0])
  assert.is(meet.threads, 1)
  assert.match(meet.variant, reason)
}

test('where threads cannot be had there is one, and its variant says why', async () => {
  await aloneBecause(hostWith(() => ({ obstacle: () => 'the page is not cross-origin isolated' })), /, 1 thread \(the page is not cross-origin isolated\)$/)
  await aloneBecause(hostWith(() => ({ start: () => { throw new Error('access denied') } })), /, 1 thread \(no worker threads here: access denied\)$/)
  const mute = { post: () => undefined, hold: () => undefined }
  await aloneBecause(hostWith(() => ({ start: ({ onEnd }) => (setImmediate(() => onEnd('script not found')), mute) })), /script not found/)
  const { Memory } = WebAssembly
  class Refusing extends Memory {
    constructor(limits: WebAssembly.Limits) {
      if (limits.shared === true) throw new RangeError('could not allocate')
      super(limits)
    }
  }
  Object.assign(WebAssembly, { Memory: Refusing })
  try {
    await aloneBecause(nodeHost(meetBuild()), /, 1 thread \(no shared memory here\)$/)
  } finally {
    Object.assign(WebAssembly, { Memory })
  }
})

test('a worker that ends is done without, and replaced for the next program', async () => {
  const ends: ((reason: string) => void)[] = []
  const host = hostWith(({ start }) => ({ start: listener => (ends.push(listener.onEnd), start(listener)) }))
  const build = await openBuild(host)()
  if (E.isLeft(build)) throw new Refusal(build.left)
  const meet = await ready(host, 'threads/meet', { threads: 2 })
  meet.set('fail', [-1])
  meet.run()
  ends[0]?.('killed')
  meet.run()
  assert.equal([...meet.view('')].slice(0, 2), [2, 1])
  const next = await ready(host, 'threads/meet', { threads: 2 })
  next.set('fail', [-1])
  next.run()
  assert.equal([next.threads, ends.length, ...[...next.view('')].slice(0, 2)], [2, 2, 1, 1])
})

type Ended = { readonly code: number | null; readonly out: string; readonly err: string }

const child = (build: string, mode: string): Promise<Ended> => {
  const running = spawn(process.execPath, ['--import', 'tsx', 'test/runtime/support/threads-child.ts', build, mode], { timeout: 20_000, killSignal: 'SIGKILL' })
  let [out, err] = ['', '']
  running.stdout.on('data', text => { out += text })
  running.stderr.on('data', text => { err += text })
  return new Promise(done => running.on('close', code => done({ code, out, err })))
}

test('a process ends as it would without workers, whatever they are doing', async () => {
  const build = meetBuild()
  const ends: Readonly<Record<string, readonly [code: number, err: RegExp]>> = {
    'end': [0, /^$/], 'exit asleep': [3, /^$/], 'throw asleep': [1, /Error: thrown on purpose/],
    'failing': [1, /threads\/meet, thread 2 of 3: divide by zero/], 'loading': [0, /^$/],
  }
  await Promise.all(Object.entries(ends).map(async ([mode, [expected, said]]) => {
    const { code, out, err } = await child(build, mode)
    assert.is(code, expected, `${mode}: ${err}`)
    assert.match(err, said)
    assert.is(out, `${mode === 'loading' ? 'wasm, relaxed FMA, 3 threads\n' : ''}ends: ${mode}\n`)
  }))
})

test('the memory of programs that are dropped is given back', async () => {
  const { code, out, err } = await child(meetBuild(program => ({ ...program, memoryBytes: 40 * 2 ** 20 })), 'dropping')
  assert.is(code, 0, err)
  const most = Number(/most (\d+) MiB/.exec(out)?.[1])
  // 24 of them hold 960 MiB.
  assert.ok(most < 600, `${most} MiB`)
})

test('what workers run is well typed', async () => {
  const files = ['serve.mjs', 'worker-node.mjs', 'worker-web.mjs', 'webassembly.d.ts'].map(name => `runtime/device/${name}`)
  const options = '--ignoreConfig --noEmit --allowJs --checkJs --strict --target es2022 --lib es2023 --module nodenext --types node --skipLibCheck'
  const tsc = spawn('node_modules/.bin/tsc', [...options.split(' '), ...files])
  let out = ''
  tsc.stdout.on('data', text => { out += text })
  assert.is(await new Promise(done => tsc.on('close', done)), 0, out)
})

test.run()
