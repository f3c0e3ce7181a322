/**
 * One of our programs on WebGPU, in a process of its own: `node --import tsx test/bench/gpu/ours.ts PROGRAM --build DIR ...`. Each mode
 * (kernels as they are by default, chosen by measuring, with tiles in half precision, on tensor cores) prints a line of JSON as soon as it is done.
 *
 * Times are the wall's, with nothing left in the device's queue: rounds of calls in a row, then a wait. Kernel times come from the device's
 * clock in calls of their own. What a program computes is compared with the device wasm before its time counts.
 */
import { parseArgs } from 'node:util'
import { openBuild, type Build, type LoadOptions } from '../../../runtime/build.ts'
import { nodeHost } from '../../../runtime/device/node.ts'
import { transfer, type Executable } from '../../../runtime/executor.ts'
import { sizeOfShape, type ProgramInfo, type Slot } from '../../../runtime/manifest.ts'
import { uniform } from '../../../runtime/measure/inputs.ts'
import { median } from '../../../runtime/measure/times.ts'
import { orThrow } from '../../../runtime/train/task.ts'
import { videoMemory } from './machine.ts'
import { scheduleOf } from './spec.ts'
import { stampsOn, type Stamp, type Stamps } from './stamps.ts'

const modes = ['untuned', 'tuned', 'f16-tiles', 'tensor-cores'] as const

const { values, positionals: [id = ''] } = parseArgs({
  allowPositionals: true,
  options: {
    build: { type: 'string', default: 'build/gpu' }, seconds: { type: 'string', default: '10' }, modes: { type: 'string', default: modes.join(',') },
    rounds: { type: 'string', default: '7' }, 'allow-software': { type: 'boolean', default: false }, 'no-check': { type: 'boolean', default: false },
  },
})
const tell = (line: unknown): void => void process.stdout.write(`${JSON.stringify(line)}\n`)
const allowSoftware = values['allow-software']

const isStep = (program: ProgramInfo): boolean => program.id.endsWith('/trainStep')

/** Arrays of a usual size for every input that has none yet, but for the optimiser's, which stay zero. */
const fill = (executable: Executable): void => {
  const next = uniform(1)
  const some = (slot: Slot): Float32Array => Float32Array.from({ length: sizeOfShape(slot.shape) }, isStep(executable.program) ? next : () => next() - 0.5)
  const schedule = scheduleOf(executable.program.id)
  for (const slot of executable.program.inputs) {
    if (slot.path.startsWith('schedule.')) executable.set(slot.path, [schedule[slot.path.slice('schedule.'.length)] ?? 1])
    else if (slot.path === 'key') executable.set('key', [0, 1])
    else if (/^(state|frozen|params|optimizer)\./.test(slot.path)) {
      // Of the VAE: small weights. Those of a training step come from its init.
      if (slot.path.startsWith('params.')) executable.set(slot.path, some(slot).map(v => 0.1 * v))
      else if (!/^(state\.params|frozen)\./.test(slot.path)) executable.set(slot.path, new Float32Array(sizeOfShape(slot.shape)))
    } else executable.set(slot.path, some(slot))
  }
}

/** The parameters that training starts from, on whatever device the step is on. */
const start = async (build: Build, executable: Executable, options: LoadOptions): Promise<void> => {
  if (!isStep(executable.program)) return
  const from = (stage: string): string => executable.program.id.replace(/(frames|video)\/trainStep$/, `${stage}/init`)
  const own = await orThrow(build.loadOn(from(executable.program.id.includes('/video/') ? 'video' : 'frames'), options))
  own.set('key', [0, 7])
  own.run()
  await transfer(own, 'params', executable, 'state.params')
  own.dispose()
  if (!executable.program.inputs.some(({ path }) => path.startsWith('frozen.'))) return
  const frames = await orThrow(build.loadOn(from('frames'), options))
  frames.set('key', [0, 8])
  frames.run()
  const frozen = executable.program.inputs.filter(({ path }) => path.startsWith('frozen.')).map(({ path }) => path)
  const found = await frames.read(frozen.map(path => path.replace(/^frozen/, 'params')))
  frozen.forEach((path, i) => executable.set(path, found[i] ?? []))
  frames.dispose()
}

/** What is compared: numbers that a step of Adam has not divided by their own size. */
const compared = ({ outputs }: ProgramInfo): readonly Slot[] =>
  outputs.filter(({ path, shape, dtype }) => dtype === 'f32' && sizeOfShape(shape) <= 2 ** 24 && !/^(state\.)?(params|v|optimizer\.v)\./.test(path))

/** The largest difference between the results of one call here and on the device wasm, as a share of the largest number of an array. */
const difference = async (build: Build, executable: Executable): Promise<{ readonly share: number; readonly path: string }> => {
  const reference = await orThrow(build.load(id))
  // The very inputs that are on the device.
  for (const { path } of executable.program.inputs) {
    const [array = []] = await executable.read([path], 'inputs')
    reference.set(path, array)
  }
  reference.run()
  executable.run()
  const slots = compared(executable.program)
  let worst = { share: 0, path: '' }
  for (const { path } of slots) {
    const [found = []] = await executable.read([path])
    const expected = reference.get(path)
    let [apart, size] = [0, 1e-30]
    for (let i = 0; i < expected.length; i++) {
      const off = Math.abs((found[i] ?? NaN) - (expected[i] ?? 0))
      if (!Number.isNaN(apart) && !(off <= apart)) apart = off // a NaN stays
      size = Math.max(size, Math.abs(expected[i] ?? 0))
    }
    if (!Number.isNaN(worst.share) && !(apart / size <= worst.share)) worst = { share: apart / size, path }
  }
  return worst
}

/** Sums by kernel, the longest first. */
const summed = (stamps: readonly Stamp[]): readonly { readonly name: string; readonly ms: number; readonly count: number }[] => {
  const all = new Map<string, { readonly ms: number; readonly count: number }>()
  for (const { name, ms } of stamps) all.set(name, { ms: (all.get(name)?.ms ?? 0) + ms, count: (all.get(name)?.count ?? 0) + 1 })
  return [...all].map(([name, { ms, count }]) => ({ name, ms, count })).sort((a, b) => b.ms - a.ms)
}

const timeCalls = async (executable: Executable, calls: number, once: () => void): Promise<number> => {
  await executable.done()
  const from = performance.now()
  for (let i = 0; i < calls; i++) once()
  await executable.done()
  return (performance.now() - from) / calls
}

const measure = async (executable: Executable, stamps: Stamps, seconds: number): Promise<Readonly<Record<string, unknown>>> => {
  let step = 1
  // Another key each time, as in training; the state stays on the device, where the program updates it in place.
  const once = isStep(executable.program) ? (): void => {
    executable.set('key', [0, ++step])
    executable.run()
    executable.feed('state', 'state')
  } : executable.run
  for (let i = 0; i < 3; i++) once()
  const onceMs = await timeCalls(executable, 1, once)
  const rounds = Number(values.rounds)
  const calls = Math.max(1, Math.min(10_000, Math.floor((1000 * seconds) / rounds / Math.max(onceMs, 1e-3))))
  const times: number[] = []
  for (let round = 0; round < rounds; round++) times.push(await timeCalls(executable, calls, once))
  const counts = stamps.counted(once)
  const profiles: (readonly Stamp[])[] = []
  for (let i = 0; i < 3; i++) {
    await executable.done()
    profiles.push((await stamps.kernels(once)) ?? [])
  }
  const sums = profiles.map(list => list.reduce((sum, { ms }) => sum + ms, 0))
  const kernelMs = median(sums)
  const ms = median(times)
  const stamped = counts.dispatches > 0 && (profiles[0]?.length ?? 0) > 0
  return {
    ms, bestMs: Math.min(...times), onceMs, calls: calls * rounds, ...counts, kernelMs: stamped ? kernelMs : null,
    // Kernels may overlap within a pass; then their sum is more than the time of all.
    overheadShare: stamped ? (ms - kernelMs) / ms : null,
    kernels: summed(profiles[sums.indexOf(kernelMs)] ?? []).slice(0, 12),
  }
}

const lastLoss = async (executable: Executable): Promise<number | null> => {
  const path = ['metrics.loss', 'loss'].find(one => executable.program.outputs.some(slot => slot.path === one))
  if (path === undefined) return null
  const [values = []] = await executable.read([path])
  return values[0] ?? NaN
}

const stamps = stampsOn(nodeHost(values.build).gpu)
const host = { ...nodeHost(values.build), gpu: stamps.source }
host.prepare()
const build = await orThrow(openBuild(host))

for (const mode of modes.filter(one => values.modes.split(',').includes(one))) {
  const options = { device: 'webgpu', allowSoftware, tune: mode !== 'untuned', precision: mode === 'f16-tiles' || mode === 'tensor-cores' ? mode : 'f32' } as const
  try {
    const from = performance.now()
    const executable = await orThrow(build.loadOn(id, options))
    const loadSeconds = (performance.now() - from) / 1000
    if (executable.variant.includes(' tensor cores in 0 of ')) {
      // Nothing of it is for them: that is the mode `tuned` again.
      executable.dispose()
      continue
    }
    fill(executable)
    await start(build, executable, options)
    const off = values['no-check'] ? null : await difference(build, executable)
    const { stats } = executable.program
    const found = await measure(executable, stamps, Number(values.seconds) / modes.length)
    tell({
      mode: `ours ${mode}`, kind: mode, program: id, ...found, loadSeconds, difference: off, loss: await lastLoss(executable),
      flops: stats.flops, bytes: stats.bytes, memoryBytes: executable.memoryBytes, gpuMemoryMiB: videoMemory(process.pid), variant: executable.variant,
    })
    executable.dispose()
  } catch (error) {
    const failure = error instanceof Error && 'failure' in error ? JSON.stringify(error.failure) : String(error instanceof Error ? error.stack : error)
    tell({ mode: `ours ${mode}`, kind: mode, program: id, error: failure.slice(0, 1500) })
  }
}
// Workers of other threads would keep the process.
process.exit()
