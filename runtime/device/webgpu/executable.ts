/**
 * A program on WebGPU: its arrays stay in buffers of the device from call to call, a call is one submission of a fixed list of
 * dispatches, and only what is asked for comes back. Whatever fails fails for good and under its name: see gpu.ts.
 */
/// <reference types="@webgpu/types" />
import { refuse, Refusal, type Failure } from '../../../dsl/errors.ts'
import { checkLength, feedPairs, finder, sameShape, typeText, type Executable, type View } from '../../executor.ts'
import type { GpuProgram, Place } from '../../gpu-program.ts'
import { sizeOfShape, type ProgramInfo, type Slot } from '../../manifest.ts'
import { arrayOf, bytesOf, viewOf } from './arrays.ts'
import { bind, countersFor, recorder, type Command, type Commands, type Recorder, type Transfer } from './commands.ts'
import { alive, failureOf, type Gpu, type Lease } from './gpu.ts'
import { allocate, readback, replaceable, slotName, type Memory } from './memory.ts'
import { usage } from './source.ts'

/** What programs on one device see of each other. */
type Inside = {
  readonly gpu: Gpu
  /** An input, or an output where there is no such input, and where it lies. */
  readonly array: (path: string) => { readonly slot: Slot; readonly memory: Memory; readonly offset: number }
}

const insides = new WeakMap<Executable, Inside>()

/** Makes an executable of a program whose commands are ready; it keeps the lease until it is disposed of. */
export const executableOn = async (
  lease: Lease, program: ProgramInfo, file: GpuProgram, commands: Commands, words: { readonly variant: string; readonly arithmetic: string },
): Promise<Executable> => {
  const { gpu } = lease
  const { queue } = gpu.device
  const find = finder(program)
  const slots: { memory: Memory; base: number }[] = (await allocate(gpu, file.slots, i => slotName(program, file, i))).map(memory => ({ memory, base: 0 }))
  const counters = countersFor(gpu, commands)
  const back = readback(gpu)
  const state: { groups: readonly GPUBindGroup[]; spare: GPUBuffer | null; scratch: ArrayBuffer; over: boolean } =
    { groups: bind(gpu, commands, slots), spare: null, scratch: new ArrayBuffer(0), over: false }
  const shared = new Set<string>()
  const reading = new Set<Promise<unknown>>()
  const inputPlaces = new Map(program.inputs.map((slot, i) => [slot, file.inputs[i]] as const))
  const outputPlaces = new Map(program.outputs.map((slot, i) => [slot, file.outputs[i]] as const))
  const at = (place: Place | undefined): { readonly memory: Memory; readonly offset: number } => {
    const slot = place === undefined ? undefined : slots[place.slot]
    return slot === undefined || place === undefined ? refuse({ kind: 'bug', where: `the WebGPU program of ${program.id}`, message: 'an array has no place' })
      : { memory: slot.memory, offset: slot.base + place.offset }
  }
  const placed = (slot: Slot): { readonly memory: Memory; readonly offset: number } => at(outputPlaces.get(slot) ?? inputPlaces.get(slot))

  const usable = (): void => {
    if (state.over) refuse({ kind: 'usage', message: `${program.id} has been disposed of: it cannot be used any more`, remedy: 'Load it again.' })
    alive(gpu)
  }
  /** Large enough for every copy step, so that it is never replaced while a call is recorded. */
  const spare = (bytes: number): GPUBuffer => {
    if (state.spare !== null && state.spare.size >= bytes) return state.spare
    state.spare?.destroy()
    const size = Math.max(bytes, commands.copied)
    return state.spare = gpu.device.createBuffer({ label: 'copies on the way', size, usage: usage.copySource | usage.copyTarget })
  }
  const writable = (path: string): Slot => {
    usable()
    if (shared.has(path)) refuse({ kind: 'usage', message: `${program.id}: ${path} is shared with another program, and cannot be set here` })
    return find.input(path)
  }
  const upload = (slot: Slot, data: View): void => {
    const { memory, offset } = at(inputPlaces.get(slot))
    if (data.byteLength > 0) queue.writeBuffer(memory.buffer, offset, data as View & ArrayBufferView<ArrayBuffer>)
  }
  /** One array of the processor's for everything on its way to the device; the queue copies what it is given at once. */
  const stage = (slot: Slot): View => {
    if (state.scratch.byteLength < bytesOf(slot)) state.scratch = new ArrayBuffer(bytesOf(slot))
    return viewOf(slot.dtype, state.scratch, sizeOfShape(slot.shape))
  }
  const set: Executable['set'] = (path, data) => {
    const slot = writable(path)
    checkLength(program, slot, data)
    if (slot.dtype === 'f32' && data instanceof Float32Array && data.buffer instanceof ArrayBuffer) return upload(slot, data)
    const view = stage(slot)
    if (slot.dtype === 'bool') for (let i = 0; i < data.length; i++) view[i] = data[i] === 0 ? 0 : 1
    else view.set(data)
    upload(slot, view)
  }

  /** The calls of WebGPU that are made for the first time: their errors, once they are known. */
  const checks = new Set<Promise<void>>()
  const checked = new Set<string>()
  const watch = (name: string, doing: string, f: () => void): void => {
    if (checked.has(name)) return f()
    checked.add(name)
    gpu.device.pushErrorScope('validation')
    gpu.device.pushErrorScope('out-of-memory')
    f()
    const found = Promise.all([gpu.device.popErrorScope(), gpu.device.popErrorScope()]).then(
      errors => errors.forEach(error => error !== null && gpu.fail(failureOf(error, doing))), () => undefined)
    checks.add(found)
    void found.then(() => checks.delete(found))
  }

  const transfer = (from: Place, to: Place, bytes: number): Transfer => {
    const [a, b] = [at(from), at(to)]
    return { from: a.memory.buffer, fromOffset: a.offset, to: b.memory.buffer, toOffset: b.offset, bytes }
  }
  const record = (on: Recorder, command: Command, turns: readonly number[]): void => {
    switch (command.kind) {
      case 'dispatch': {
        const group = state.groups[command.group]
        return group === undefined ? undefined : on.dispatch(command, group, counters.groups[command.depth - 1], turns)
      }
      case 'copy': return on.copy([transfer(command.from, command.to, command.bytes)], spare)
      case 'loop': {
        for (let i = 0; i < command.size; i++) command.body.forEach(inner => record(on, inner, [...turns, i]))
      }
    }
  }
  const perform = (name: string, steps: Commands['steps']): void => {
    usable()
    watch(name, `running ${program.id}`, () => {
      const on = recorder(gpu, program.id)
      steps.forEach(step => step.forEach(command => record(on, command, [])))
      on.submit()
    })
  }

  const settled = async (): Promise<void> => {
    await Promise.all([...checks])
    alive(gpu)
  }
  const read: Executable['read'] = async (paths, of = 'results') => {
    usable()
    const found = paths.map(path => (of === 'inputs' ? find.input(path) : find.result(path)))
    const copying = back.read(found.map(slot => {
      const { memory, offset } = placed(slot)
      return { buffer: memory.buffer, offset, bytes: bytesOf(slot) }
    }))
    reading.add(copying)
    const copies = await copying.finally(() => reading.delete(copying))
    await settled()
    return found.map((slot, i) => arrayOf(slot, copies[i] ?? new ArrayBuffer(0)))
  }

  const share: Executable['share'] = (source, pairs) => {
    usable()
    const other = insides.get(source)
    if (other === undefined || source === executable || other.gpu !== gpu) return false
    const wanted = pairs.map(([from, to]) => ({ path: to, source: other.array(from), slot: find.input(to) }))
    const problems = wanted.flatMap(({ slot, source: { slot: given } }) => given.dtype === slot.dtype && sameShape(given.shape, slot.shape) ? []
      : [`input ${slot.path} is ${typeText(slot)}, ${source.program.id} has ${given.path} as ${typeText(given)}`])
    if (problems.length > 0) refuse({ kind: 'arrays', program: program.id, problems })
    const fits = wanted.every(({ slot, source: { offset } }) => {
      const place = inputPlaces.get(slot)
      return place !== undefined && replaceable(file, place, bytesOf(slot)) && offset % gpu.about.limits.minStorageBufferOffsetAlignment === 0
    })
    if (!fits) return false
    for (const { path, slot, source: { memory, offset } } of wanted) {
      const at = slots[inputPlaces.get(slot)?.slot ?? -1]
      if (at === undefined) continue
      memory.retain()
      at.memory.release()
      Object.assign(at, { memory, base: offset })
      shared.add(path)
    }
    state.groups = bind(gpu, commands, slots)
    // What is shared cannot be fed any more.
    feeds.clear()
    return true
  }

  const feeds = new Map<string, readonly (readonly [Place, Place, number])[]>()
  const feed: Executable['feed'] = (output, input) => {
    usable()
    const name = `${output} -> ${input}`
    const places = feeds.get(name) ?? feedPairs(program, output, input).flatMap(([a, b]): readonly (readonly [Place, Place, number])[] => {
      const [from, to] = [outputPlaces.get(a), inputPlaces.get(writable(b.path))]
      const bytes = bytesOf(a)
      return from === undefined || to === undefined || bytes === 0 || (from.slot === to.slot && from.offset === to.offset) ? [] : [[from, to, bytes]]
    })
    feeds.set(name, places)
    if (places.length === 0) return
    watch(`feed ${name}`, `copying ${output} to ${input} of ${program.id}`, () => {
      const on = recorder(gpu, `feed ${name}`)
      on.copy(places.map(([from, to, bytes]) => transfer(from, to, bytes)), spare)
      on.submit()
    })
  }

  const executable: Executable = {
    program,
    device: 'webgpu',
    ...words,
    threads: 1,
    get memoryBytes() {
      return slots.reduce((sum, { memory }, i) => sum + (memory.bytes > 0 && !sharedSlot(i) ? memory.bytes : 0), counters.bytes + (state.spare?.size ?? 0))
    },
    steps: commands.steps.length,
    set,
    setAll: arrays => Object.entries(arrays).forEach(([path, data]) => set(path, data)),
    fill: (path, write) => {
      const slot = writable(path)
      const view = stage(slot)
      write(view)
      upload(slot, view)
    },
    run: () => perform('run', commands.steps),
    runStep: step => {
      const found = commands.steps[step]
      if (found === undefined) return refuse({ kind: 'usage', message: `${program.id} has ${commands.steps.length} steps; there is no step ${step}` })
      perform(`step ${step}`, [found])
    },
    feed,
    read,
    done: async () => {
      usable()
      await gpu.patiently(queue.onSubmittedWorkDone()).catch(() => undefined)
      await settled()
    },
    share,
    dispose: () => {
      if (state.over) return
      state.over = true
      slots.forEach(({ memory }) => memory.release())
      counters.dispose()
      state.spare?.destroy()
      back.dispose()
      // The device stays until what was asked for before has come back.
      void Promise.allSettled([...reading]).then(lease.release)
    },
  }
  const sharedSlot = (i: number): boolean => program.inputs.some((slot, n) => shared.has(slot.path) && file.inputs[n]?.slot === i)
  for (const { slot, offset, dtype, data } of file.constants) {
    const values = data.map(Number)
    const view = viewOf(dtype, new ArrayBuffer(4 * values.length), values.length)
    view.set(values)
    const { memory } = at({ slot, offset })
    if (view.byteLength > 0) queue.writeBuffer(memory.buffer, offset, view as View & ArrayBufferView<ArrayBuffer>)
  }
  insides.set(executable, {
    gpu,
    array: path => {
      usable()
      const slot = program.inputs.find(one => one.path === path) ?? find.result(path)
      return { slot, ...at(inputPlaces.get(slot) ?? outputPlaces.get(slot)) }
    },
  })
  return executable
}

/** A failure as it is told to those who load programs. */
export const asFailure = (error: unknown, where: string): Failure =>
  error instanceof Refusal ? error.failure : { kind: 'bug', where, message: error instanceof Error ? error.message : String(error) }
