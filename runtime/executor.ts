/**
 * A loaded program: its inputs can be set, it can be run, its outputs read. All arrays of a program live in one linear
 * memory at the offsets of the manifest, so that a training state stays where it is from step to step: `feed` copies
 * outputs onto inputs within that memory.
 */
import { refuse } from '../dsl/errors.ts'
import type { DType } from '../dsl/core/prim.ts'
import { sizeOfShape, type ProgramInfo, type Slot } from './manifest.ts'
import { join, restOf } from './paths.ts'

/** What the user holds, by dtype: bool is one byte per element outside, one 4-byte word inside. */
export type ArrayOf = { readonly f32: Float32Array; readonly i32: Int32Array; readonly u32: Uint32Array; readonly bool: Uint8Array }
export type AnyArray = ArrayOf[DType]

/** A window on the program's memory; bool as words. */
export type View = Float32Array | Int32Array | Uint32Array

/**
 * A loaded program on any device. `set`, `fill`, `run`, `feed` and `read` take effect in the order in which they are called; a device
 * with a queue of its own (webgpu, webgl) returns from all but `read` and `done` before that, so that the next step is prepared meanwhile.
 */
export type Executable = {
  readonly program: ProgramInfo
  readonly device: Device
  /** What it runs on, for people: `wasm, relaxed FMA, 2 threads`. */
  readonly variant: string
  /** The part of it on which results depend: `wasm, relaxed FMA`. */
  readonly arithmetic: string
  readonly threads: number
  /** Bytes of memory that it holds. */
  readonly memoryBytes: number
  /** Copies an array into the input of that path. Refuses an unknown path and a wrong number of elements. */
  readonly set: (path: string, data: ArrayLike<number>) => void
  /** Sets several inputs. */
  readonly setAll: (arrays: Readonly<Record<string, ArrayLike<number>>>) => void
  /** Lets `write` fill an input whole (bool: one word per element, 0 or 1), in place where the device's memory is at hand; what it finds there is undefined. */
  readonly fill: (path: string, write: (view: View) => void) => void
  /**
   * Never waits. On a device with a queue nothing limits how far calls get ahead of it, and it keeps what they hand over until it comes to
   * that: a loop awaits `read` or `done` every few calls, as the training loop does, which has so many steps under way and no more. A bound in
   * here could only refuse: that the device is done is heard of between calls, when the caller waits.
   */
  readonly run: () => void
  /** Runs one top-level step only, for profiling. */
  readonly runStep: (step: number) => void
  /** How many top-level steps there are. */
  readonly steps: number
  /**
   * Copies every output below `output` onto the input of the same rest of path below `input`: after
   * `feed('state', 'state')` the next run starts from the state that the last one returned. Both must have the same arrays.
   */
  readonly feed: (output: string, input: string) => void
  /**
   * Copies of outputs (or, where there is no such output, of inputs) as they are after all that was called before; of inputs alone where `of`
   * says so: an output of the same path may not have been computed yet. Rejects with a `Refusal` where the device failed.
   */
  readonly read: (paths: readonly string[], of?: Side) => Promise<readonly AnyArray[]>
  /** Resolves when all that was called before has been done; rejects with a `Refusal` where the device failed. */
  readonly done: () => Promise<void>
  /**
   * From now on the inputs (second of each pair) ARE arrays (first: inputs, or outputs where there is no such input) of another program on the
   * same device, without a copy: they change as that one runs. False, and nothing happens, where the devices differ or have no memory in
   * common. They must not be set any more.
   */
  readonly share: (source: Executable, pairs: readonly (readonly [source: string, input: string])[]) => boolean
  /** Gives its memory back; it cannot be used afterwards. */
  readonly dispose: () => void
}

export type Device = 'wasm' | 'eager' | 'webgpu' | 'webgl'

/** Which arrays of a program are meant: its outputs, and inputs of other paths; or its inputs. */
export type Side = 'results' | 'inputs'

/** A program whose arrays are at hand at once, without waiting for a device. */
export type LocalExecutable = Executable & {
  /** A copy of an output (or, where there is no such output, of an input). */
  readonly get: (path: string) => AnyArray
  /**
   * An output (or input) in place, without a copy: it changes with the next run. On several threads its buffer is shared
   * memory, which some functions of the platform refuse (TextDecoder, Blob, ImageData): they need the copy that `get` gives.
   */
  readonly view: (path: string) => View
  /** What an input holds now, to be read: in place on the device wasm, a copy in float32 on the eager one. */
  readonly input: (path: string) => View
  /** An input in place, to be written by the caller (bool: one word per element, 0 or 1). */
  readonly inputView: (path: string) => View
}

/** What every device whose memory is at hand does alike. */
export const localParts = (get: LocalExecutable['get'], getInput: LocalExecutable['get']): Pick<Executable, 'read' | 'done' | 'share' | 'dispose'> => ({
  read: async (paths, of = 'results') => paths.map(of === 'inputs' ? getInput : get),
  done: async () => undefined,
  share: () => false,
  dispose: () => undefined,
})

/** Pairs of outputs and inputs that `feed` copies; refuses where names, shapes or dtypes differ. */
export const feedPairs = (program: ProgramInfo, output: string, input: string): readonly (readonly [Slot, Slot])[] => {
  const within = (slots: readonly Slot[], prefix: string): ReadonlyMap<string, Slot> =>
    new Map(slots.flatMap(slot => {
      const rest = restOf(slot.path, prefix)
      return rest === null ? [] : [[rest, slot] as const]
    }))
  const from = within(program.outputs, output)
  const to = within(program.inputs, input)
  const problems = [
    ...(from.size === 0 ? [`no output is called '${output}'`] : []),
    ...(to.size === 0 ? [`no input is called '${input}'`] : []),
    ...[...from].flatMap(([rest, a]) => {
      const b = to.get(rest)
      if (b === undefined) return [`output ${a.path} has no input ${join(input, rest)}`]
      return a.dtype === b.dtype && sameShape(a.shape, b.shape) ? [] : [`output ${a.path} is ${typeText(a)}, input ${b.path} is ${typeText(b)}`]
    }),
    ...[...to].flatMap(([rest, b]) => (from.has(rest) ? [] : [`input ${b.path} has no output ${join(output, rest)}`])),
  ]
  if (problems.length > 0) return refuse({ kind: 'arrays', program: program.id, problems: problems.slice(0, 8) })
  return [...from].flatMap(([rest, a]) => {
    const b = to.get(rest)
    return b === undefined ? [] : [[a, b] as const]
  })
}

const isLocal = (executable: Executable): executable is LocalExecutable => 'view' in executable && 'input' in executable

/** What `read` gives, but in place where the memory is at hand: it is to be looked at before the program is used again (bool: words, or bytes). */
export const look = async (executable: Executable, paths: readonly string[], of: Side = 'results'): Promise<readonly (View | AnyArray)[]> =>
  isLocal(executable) ? paths.map(of === 'inputs' ? executable.input : executable.view) : executable.read(paths, of)

/** Copies arrays of one program (first of each pair) to inputs of another (second), on whatever devices they are. */
export const copyArrays = async (from: Executable, pairs: readonly (readonly [source: string, input: string])[], to: Executable, of?: Side): Promise<void> => {
  const values = await look(from, pairs.map(([source]) => source), of)
  pairs.forEach(([, input], i) => to.set(input, values[i] ?? []))
}

/** Copies all arrays below `fromPath` of one program to the inputs below `toPath` of another, e.g. parameters to an evaluation. */
export const transfer = async (from: Executable, fromPath: string, to: Executable, toPath: string): Promise<void> => {
  const sources = from.program.outputs.concat(from.program.inputs)
  const targets = to.program.inputs.flatMap(slot => {
    const rest = restOf(slot.path, toPath)
    return rest === null ? [] : [[slot, join(fromPath, rest)] as const]
  })
  if (targets.length === 0) refuse({ kind: 'arrays', program: to.program.id, problems: [`no input is called '${toPath}'`] })
  for (const [slot, path] of targets) {
    const source = sources.find(s => s.path === path)
    if (source === undefined || source.dtype !== slot.dtype || !sameShape(source.shape, slot.shape)) {
      refuse({
        kind: 'arrays', program: to.program.id,
        problems: [`input ${slot.path} is ${typeText(slot)}, ${from.program.id} `
          + (source === undefined ? `has no ${path}` : `has ${path} as ${typeText(source)}`)],
      })
    }
  }
  await copyArrays(from, targets.map(([slot, path]) => [path, slot.path]), to)
}

export const sameShape = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((d, i) => d === b[i])

/** `f32[3, 64, 64]`. */
export const typeText = (x: { readonly dtype: string; readonly shape: readonly number[] }): string => `${x.dtype}[${x.shape.join(', ')}]`

/** Finds slots by path; `results` looks among outputs first, then inputs. */
export const finder = (program: ProgramInfo): { readonly input: (path: string) => Slot; readonly result: (path: string) => Slot } => {
  const inputs = new Map(program.inputs.map(s => [s.path, s]))
  const outputs = new Map(program.outputs.map(s => [s.path, s]))
  const unknown = (what: string, path: string, known: ReadonlyMap<string, Slot>): never =>
    refuse({ kind: 'arrays', program: program.id, problems: [`no ${what} is called '${path}'; there are: ${[...known.keys()].slice(0, 12).join(', ')}${known.size > 12 ? ', ...' : ''}`] })
  return {
    input: path => inputs.get(path) ?? unknown('input', path, inputs),
    result: path => outputs.get(path) ?? inputs.get(path) ?? unknown('output', path, outputs),
  }
}

const viewOf = (buffer: ArrayBufferLike, slot: Slot): View => {
  const size = sizeOfShape(slot.shape)
  switch (slot.dtype) {
    case 'f32': return new Float32Array(buffer, slot.offset, size)
    case 'i32': return new Int32Array(buffer, slot.offset, size)
    case 'u32':
    case 'bool': return new Uint32Array(buffer, slot.offset, size)
  }
}

/** Refuses data of a wrong number of elements. */
export const checkLength = (program: ProgramInfo, slot: Slot, data: ArrayLike<number>): void => {
  const size = sizeOfShape(slot.shape)
  if (data.length !== size) {
    refuse({ kind: 'arrays', program: program.id, problems: [`${slot.path}: expected ${typeText(slot)} (${size} elements), got ${data.length} elements`] })
  }
}

/** What a device gives to make an executable of: the program's memory and its entry points. */
export type Instance = {
  readonly buffer: ArrayBufferLike
  readonly arithmetic: string
  readonly threads: number
  /** For people: why there is only one thread. */
  readonly note?: string
  readonly run: () => void
  readonly steps: readonly (() => void)[]
}

const variantOf = ({ arithmetic, threads, note }: Instance): string =>
  `${arithmetic}, ${threads === 1 ? '1 thread' : `${threads} threads`}${note === undefined ? '' : ` (${note})`}`

/** An executable over one linear memory. */
export const executableOver = (program: ProgramInfo, instance: Instance): LocalExecutable => {
  const find = finder(program)
  const views = new Map<Slot, View>()
  const at = (slot: Slot): View => {
    const known = views.get(slot)
    if (known !== undefined) return known
    const made = viewOf(instance.buffer, slot)
    views.set(slot, made)
    return made
  }
  const set: Executable['set'] = (path, data) => {
    const slot = find.input(path)
    checkLength(program, slot, data)
    const target = at(slot)
    if (slot.dtype === 'bool') for (let i = 0; i < data.length; i++) target[i] = data[i] === 0 ? 0 : 1
    else target.set(data)
  }
  const feeds = new Map<string, () => void>()
  const copyOf = (slot: Slot): AnyArray => (slot.dtype === 'bool' ? Uint8Array.from(at(slot)) : at(slot).slice())
  const get: LocalExecutable['get'] = path => copyOf(find.result(path))
  return {
    ...localParts(get, path => copyOf(find.input(path))),
    program,
    device: 'wasm',
    variant: variantOf(instance),
    arithmetic: instance.arithmetic,
    threads: instance.threads,
    memoryBytes: instance.buffer.byteLength,
    steps: instance.steps.length,
    set,
    setAll: arrays => Object.entries(arrays).forEach(([path, data]) => set(path, data)),
    fill: (path, write) => write(at(find.input(path))),
    get,
    view: path => at(find.result(path)),
    input: path => at(find.input(path)),
    inputView: path => at(find.input(path)),
    run: instance.run,
    runStep: step => (instance.steps[step] ?? (() =>
      refuse({ kind: 'usage', message: `${program.id} has ${instance.steps.length} steps; there is no step ${step}` })))(),
    feed: (output, input) => {
      const name = `${output} -> ${input}`
      const copy = feeds.get(name) ?? copier(instance.buffer, feedPairs(program, output, input))
      feeds.set(name, copy)
      copy()
    },
  }
}

type Range = { readonly from: number; readonly to: number; readonly bytes: number }

/** Copies all pairs at once: neighbours in one go, and by way of a second buffer where a target overlaps a later source. */
const copier = (buffer: ArrayBufferLike, pairs: readonly (readonly [Slot, Slot])[]): (() => void) => {
  const bytes = new Uint8Array(buffer)
  const ranges = pairs
    .map(([a, b]): Range => ({ from: a.offset, to: b.offset, bytes: 4 * sizeOfShape(a.shape) }))
    .filter(r => r.from !== r.to && r.bytes > 0)
    .sort((a, b) => a.from - b.from)
    .reduce<readonly Range[]>((done, r) => {
      const last = done[done.length - 1]
      return last !== undefined && last.from + last.bytes === r.from && last.to + last.bytes === r.to
        ? [...done.slice(0, -1), { ...last, bytes: last.bytes + r.bytes }]
        : [...done, r]
    }, [])
  const overlap = ranges.some((r, i) => ranges.slice(i + 1).some(s => r.to < s.from + s.bytes && s.from < r.to + r.bytes))
  if (!overlap) return () => ranges.forEach(r => bytes.copyWithin(r.to, r.from, r.from + r.bytes))
  return () => {
    const held = ranges.map(r => bytes.slice(r.from, r.from + r.bytes))
    ranges.forEach((r, i) => bytes.set(held[i] ?? [], r.to))
  }
}
