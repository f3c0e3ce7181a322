/**
 * Which alternative of a kernel is the fastest here, measured on the device with buffers of the real sizes, and remembered by
 * adapter and by the text of the shaders. Results may differ in their last bits between alternatives, as sums are in another order.
 */
/// <reference types="@webgpu/types" />
import type { DispatchInfo, GpuProgram, GpuStep, KernelStep } from '../../gpu-program.ts'
import { crc32 } from '../../io/crc32.ts'
import { bind, countersFor, dispatchesOf, prepare, recorder, type Commands, type Slots } from './commands.ts'
import { alive, type Gpu } from './gpu.ts'
import { allocate, readback, type Memory } from './memory.ts'
import type { Precision } from './pipelines.ts'
import { usage, type Store } from './source.ts'

/** Times of one adapter's kernels: which alternative was best, by the kernel's key. */
type Known = Readonly<Record<string, number>>
type Book = Readonly<Record<string, Known>>

const isNumbers = (u: unknown): u is Known => typeof u === 'object' && u !== null && Object.values(u).every(value => typeof value === 'number')
const isBook = (u: unknown): u is Book => typeof u === 'object' && u !== null && Object.values(u).every(isNumbers)

/** What was remembered; nothing where the text is not what was written. */
const parseBook = (text: string | null): Book => {
  try {
    const read: unknown = JSON.parse(text ?? '{}')
    return isBook(read) ? read : {}
  } catch {
    return {}
  }
}

const adapterKey = ({ about }: Gpu): string => [about.vendor, about.architecture, about.device, about.name].join('|')

/** The same for kernels that do the same work in the same alternatives. */
const kernelKey = (file: GpuProgram, choices: KernelStep['choices'], precision: Precision): string => {
  const text = [precision, ...choices.map(choice => choice.map(({ shader, groups, bindings }) =>
    [file.shaders[shader]?.code, groups, ...bindings.map(({ bytes, access }) => `${access}${bytes}`)].join(' ')).join(';'))].join('\n')
  return `${crc32(new TextEncoder().encode(text)).toString(16)}-${text.length}`
}

type Clock = { readonly time: (commands: Commands, groups: readonly GPUBindGroup[], repeats: number) => Promise<number>; readonly dispose: () => void }

/** Milliseconds of repeated runs, by the device's own clock where it has one. */
const clockOf = (gpu: Gpu, counters: readonly GPUBindGroup[]): Clock => {
  const { device } = gpu
  const repeat = (commands: Commands, groups: readonly GPUBindGroup[], repeats: number): void => {
    const on = recorder(gpu, 'measuring')
    for (let i = 0; i < repeats; i++) {
      for (const command of dispatchesOf(commands.steps.flat())) {
        const group = groups[command.group]
        if (group !== undefined) on.dispatch(command, group, counters[command.depth - 1], Array<number>(command.depth).fill(0))
      }
    }
    on.submit()
  }
  if (!gpu.about.features.includes('timestamp-query')) {
    return {
      time: async (commands, groups, repeats) => {
        await device.queue.onSubmittedWorkDone()
        const start = performance.now()
        repeat(commands, groups, repeats)
        await device.queue.onSubmittedWorkDone()
        return performance.now() - start
      },
      dispose: () => undefined,
    }
  }
  const queries = device.createQuerySet({ type: 'timestamp', count: 4 })
  const stamps = device.createBuffer({ label: 'times', size: 256, usage: usage.queryResolve | usage.copySource })
  const back = readback(gpu)
  const stamp = (at: number): void => {
    const encoder = device.createCommandEncoder()
    encoder.beginComputePass({ timestampWrites: { querySet: queries, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 } }).end()
    if (at > 0) encoder.resolveQuerySet(queries, 0, 4, stamps, 0)
    device.queue.submit([encoder.finish()])
  }
  return {
    time: async (commands, groups, repeats) => {
      stamp(0)
      repeat(commands, groups, repeats)
      stamp(2)
      const [times = new ArrayBuffer(32)] = await back.read([{ buffer: stamps, offset: 0, bytes: 32 }])
      const [, from = 0n, , to = 0n] = new BigUint64Array(times)
      return Number(to - from) / 1e6
    },
    dispose: () => {
      back.dispose()
      queries.destroy()
      stamps.destroy()
    },
  }
}

/** About so long, in milliseconds, is measured at a time, and so often. */
const aim = { milliseconds: 2, most: 100, rounds: 3 } as const

const timeOf = async (clock: Clock, commands: Commands, groups: readonly GPUBindGroup[]): Promise<number> => {
  await clock.time(commands, groups, 1)
  const once = await clock.time(commands, groups, 1)
  const repeats = Math.max(1, Math.min(aim.most, Math.round(aim.milliseconds / Math.max(once, 1e-3))))
  let best = once
  for (let round = 0; round < aim.rounds; round++) best = Math.min(best, await clock.time(commands, groups, repeats) / repeats)
  return best
}

/** A program of this kernel alone, as deep in loops as it is in its own. */
const alone = (file: GpuProgram, kernel: KernelStep, choice: readonly DispatchInfo[], depth: number): GpuProgram =>
  ({ ...file, steps: [Array.from({ length: depth }).reduce<GpuStep>(step => ({ kind: 'loop', size: 1, steps: [step] }), { ...kernel, choices: [choice] })] })

const depths = (steps: readonly GpuStep[], depth = 0): readonly (readonly [KernelStep, number])[] =>
  steps.flatMap(step => (step.kind === 'kernel' ? [[step, depth] as const] : step.kind === 'loop' ? depths(step.steps, depth + 1) : []))

type Open = { readonly kernel: KernelStep; readonly depth: number; readonly all: KernelStep['choices']; readonly key: string }

const fastest = async (gpu: Gpu, file: GpuProgram, slots: Slots, { kernel, depth, all }: Open, precision: Precision): Promise<number> => {
  const times: number[] = []
  for (const choice of all) {
    const commands = await prepare(gpu, alone(file, kernel, choice, depth), ({ choices: [only = []] }) => only, precision)
    const counters = countersFor(gpu, commands)
    const clock = clockOf(gpu, counters.groups)
    times.push(await timeOf(clock, commands, bind(gpu, commands, slots)))
    clock.dispose()
    counters.dispose()
  }
  return times.indexOf(Math.min(...times))
}

/** The fastest of every kernel's runnable alternatives, measured where it is not known from before. Rejects with a `Refusal`. */
export const measuredChoice = async (
  gpu: Gpu, store: Store, file: GpuProgram, choices: ReadonlyMap<KernelStep, KernelStep['choices']>, precision: Precision,
): Promise<ReadonlyMap<KernelStep, number>> => {
  const before = parseBook(await store.read())
  const known = new Map(Object.entries(before[adapterKey(gpu)] ?? {}))
  const open = depths(file.steps).flatMap(([kernel, depth]): readonly Open[] => {
    const all = choices.get(kernel) ?? []
    return all.length > 1 ? [{ kernel, depth, all, key: kernelKey(file, all, precision) }] : []
  })
  const missing = open.filter(({ key }, i) => !known.has(key) && open.findIndex(other => other.key === key) === i)
  if (missing.length > 0) {
    const memories: readonly Memory[] = await allocate(gpu, file.slots, () => 'measuring')
    const slots = memories.map(memory => ({ memory, base: 0 }))
    for (const kernel of missing) known.set(kernel.key, await fastest(gpu, file, slots, kernel, precision))
    memories.forEach(({ release }) => release())
    alive(gpu)
    const book = parseBook(await store.read())
    await store.write(`${JSON.stringify({ ...book, [adapterKey(gpu)]: { ...book[adapterKey(gpu)], ...Object.fromEntries(known) } }, null, 1)}\n`)
  }
  return new Map(open.map(({ kernel, all, key }) => [kernel, Math.min(all.length - 1, Math.max(0, Math.trunc(known.get(key) ?? 0)))] as const))
}
