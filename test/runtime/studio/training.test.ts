/** Training in the studio outlives its device: on a fresh one, or on the next of the chain, with the losses of a run that was never disturbed. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../../compiler/compile.ts'
import { print, refuse, type DeviceReason } from '../../../dsl/errors.ts'
import { open, type Executable, type Programs, type Saved } from '../../../runtime/browser.ts'
import { nodeHost } from '../../../runtime/device/node.ts'
import type { LocalExecutable } from '../../../runtime/executor.ts'
import type { Candidate, Decision } from '../../../runtime/studio/devices.ts'
import type { FromWorker, Loss, PageDevice } from '../../../runtime/studio/messages.ts'
import { openSession, type Session } from '../../../runtime/studio/session.ts'
import { openTraining, type Around } from '../../../runtime/studio/training.ts'
import { queuedDevice, type QueuedDevice } from '../support/queued.ts'

const folder = mkdtempSync(join(tmpdir(), 'vdsm-training-'))
const models = resolve('test/runtime/support/train')
const STEPS = 14
const settings = { config: 'tiny', seed: 3, steps: STEPS } as const
let build: Programs
let expected: readonly Loss[]

/** What one opening of a device is: a device with a queue (null: in place), or a failure. */
type Turn = QueuedDevice | null | { readonly refused: string }

const onDevice = (device: QueuedDevice): Programs => ({
  ...build,
  load: async (id, options) => {
    const program = await build.load(id, { device: 'wasm', threads: 1 })
    // Where training starts is computed in place.
    return options?.threads === 1 ? program : device.wrap(program as LocalExecutable)
  },
})

test.before(async () => {
  const compiled = await compile({
    files: [join(models, 'vdsm/tiny/frames.ts')], root: models, out: folder, force: true, targets: ['wasm'], onBuilt: () => undefined,
  })
  if (E.isLeft(compiled)) throw new Error(print(compiled.left))
  build = await open(nodeHost(folder))
  const straight = await openSession(build, settings, { device: 'wasm', threads: 1 })
  expected = await Promise.all(Array.from({ length: STEPS }, () => straight.next()))
})
test.after(() => rmSync(folder, { recursive: true, force: true }))

const failing = (run: number, reason: DeviceReason = 'lost', id = 'trainStep'): QueuedDevice => queuedDevice({ failAt: { id, run, reason: reason } })

type Outcome = {
  readonly messages: readonly FromWorker[]
  /** As the page has them at the end. */
  readonly losses: readonly Loss[]
  readonly opened: readonly string[]
  readonly finished: boolean
  readonly error: unknown
}

/** Trains to the end, on devices that behave as they are told at each opening. */
const trained = async (turns: Partial<Record<PageDevice, readonly Turn[]>>, more: Partial<Around> = {}): Promise<Outcome> => {
  const order = (['webgpu', 'webgl', 'wasm'] as const).filter(device => turns[device] !== undefined)
  const decision: Decision = { chain: order.map((device): Candidate => ({ device, software: false, note: '' })), passed: [] }
  const [messages, opened]: [FromWorker[], string[]] = [[], []]
  const used = new Map<PageDevice, number>()
  const openOn = async ({ device }: Candidate, from?: Saved): Promise<Session> => {
    const n = used.get(device) ?? 0
    used.set(device, n + 1)
    opened.push(`${device} ${from?.steps ?? 'new'}`)
    const turn = turns[device]?.[n]
    if (turn !== null && turn !== undefined && 'refused' in turn) return refuse({ kind: 'device', device, reason: 'shader', message: turn.refused })
    return turn === null || turn === undefined ? openSession(build, settings, { device: 'wasm', threads: 1 }, from)
      : openSession(onDevice(turn), settings, {}, from)
  }
  let [finished, error]: [boolean, unknown] = [false, undefined]
  try {
    const training = await openTraining({
      decision, steps: STEPS, say: message => messages.push(message), open: openOn, turn: () => new Promise<void>(done => setImmediate(done)), ...more,
    })
    finished = (await training.train(() => true)).finished
  } catch (caught) {
    error = caught
  }
  const losses = messages.reduce<readonly Loss[]>((all, message) =>
    (message.kind === 'progress' ? [...all, ...message.losses] : message.kind === 'recovered' ? all.filter(([step]) => step <= message.steps) : all), [])
  return { messages, losses, opened, finished, error }
}

const textsOf = ({ messages }: Outcome): string => messages.flatMap(message => ('text' in message ? [message.text] : [])).join('\n')
const usedIn = ({ messages }: Outcome): string | undefined =>
  messages.flatMap(message => (message.kind === 'devices' ? [message.lines] : [])).at(-1)?.find(({ role }) => role === 'used')?.device

const check = (outcome: Outcome): void => {
  if (outcome.error !== undefined) throw outcome.error
  assert.ok(outcome.finished)
  assert.equal(outcome.losses, expected)
}

test('a device that is lost before any copy: from the beginning, on a fresh one', async () => {
  const outcome = await trained({ webgpu: [failing(1), null], wasm: [] })
  check(outcome)
  assert.equal(outcome.opened, ['webgpu new', 'webgpu new'])
  assert.match(textsOf(outcome), /^WebGPU has failed: .*\nWebGPU failed: .*went on from step 0 on a fresh device\.$/)
})

test('a device that is lost later: from the copy that was made with the pictures', async () => {
  const outcome = await trained({ webgpu: [failing(9), null], wasm: [] })
  check(outcome)
  const [, again] = outcome.opened
  assert.match(again ?? '', /^webgpu [1-8]$/)
  assert.is(usedIn(outcome), 'webgpu')
})

test('one that fails twice in a short time is left for the next; so is one that does not come back', async () => {
  const twice = await trained({ webgpu: [failing(9), failing(2)], wasm: [null] })
  check(twice)
  assert.equal(twice.opened.map(text => text.split(' ')[0]), ['webgpu', 'webgpu', 'wasm'])
  assert.is(usedIn(twice), 'wasm')
  assert.match(textsOf(twice), /on WebAssembly\.$/)
  const gone = await trained({ webgpu: [failing(5), { refused: 'no adapter' }], webgl: [{ refused: 'no context' }], wasm: [null] })
  check(gone)
  assert.equal(gone.opened.map(text => text.split(' ')[0]), ['webgpu', 'webgpu', 'webgl', 'wasm'])
  const trusted = await trained({ webgpu: [failing(5), failing(2), failing(3), null], wasm: [] }, { trust: -1 })
  check(trusted)
  assert.is(usedIn(trusted), 'webgpu')
})

test('a shader that does not compile is not tried again; it fails when pictures are first drawn, too', async () => {
  const shader = await trained({ webgpu: [failing(3, 'shader')], wasm: [null] })
  check(shader)
  assert.equal(shader.opened.length, 2)
  const drawing = await trained({ webgl: [failing(1, 'shader', 'encode')], wasm: [null] })
  check(drawing)
  assert.match(drawing.opened[1] ?? '', /^wasm [1-9]/)
})

test('a device that is found but does not load is passed over, with the reason', async () => {
  const outcome = await trained({ webgpu: [{ refused: 'kernel p_contract does not compile' }], webgl: [null], wasm: [] })
  check(outcome)
  assert.is(usedIn(outcome), 'webgl')
  const lines = outcome.messages.flatMap(message => (message.kind === 'devices' ? [message.lines] : [])).at(-1) ?? []
  assert.match(lines[0]?.text ?? '', /^it did not load: kernel p_contract does not compile$/)
  const nothing = await trained({ webgpu: [{ refused: 'a' }], wasm: [{ refused: 'the last reason' }] })
  assert.match(String(nothing.error), /the last reason/)
})

test('where there is nothing after it, its failure is the end; numbers that are not finite are no failure of a device', async () => {
  const last = await trained({ wasm: [failing(4, 'validation')] })
  assert.match(String(last.error), /fails|failed|device/)
  assert.equal(last.opened, ['wasm new'])
  const spoilt = (program: Executable): Executable => ({ ...program,
    read: async (...asked) => (await program.read(...asked)).map(array => array.map(() => NaN) as typeof array) })
  const session = await openSession({ ...build, load: async (id, options) => {
    const program = await build.load(id, options)
    return id.endsWith('trainStep') ? spoilt(program) : program
  } }, settings, { threads: 1 })
  const nan = await trained({ webgpu: [null], wasm: [null] }, { open: async () => session })
  assert.match(String(nan.error), /step 1: .* is NaN/)
})

test.run()
