/**
 * A program on WebGL: its arrays are textures of the device, held by reference. Kernels make new ones and never write one that is
 * held, so that copying, feeding and sharing arrays moves references alone, and all kernels of a step see the arrays as before it.
 */
import { refuse, Refusal } from '../../../dsl/errors.ts'
import { checkLength, feedPairs, finder, sameShape, typeText, type Executable } from '../../executor.ts'
import { texelsOf, type GlKernelStep, type GlProgram } from '../../gl-program.ts'
import { sizeOfShape, type ProgramInfo, type Slot } from '../../manifest.ts'
import type { Lease } from './device.ts'
import type { Engine, Run, Texture } from './engine.ts'
import { footprint, planOf, type Planned } from './liveness.ts'
import { glFailure, remedies } from './source.ts'
import { readArray, viewFor, writeArray } from './words.ts'

/** Where an array is now. Programs that share an array share its cell, and see what becomes of it. */
type Cell = { texture: Texture | null; users: number }

type Inside = { readonly engine: Engine; readonly array: (path: string) => { readonly slot: Slot; readonly cell: Cell } }

const insides = new WeakMap<Executable, Inside>()

const letGo = (cell: Cell | undefined): void => {
  if (cell === undefined || --cell.users > 0) return
  cell.texture?.release()
  cell.texture = null
}

/** Arrays that a step, or a step within it, makes anew. */
const writtenBy = (steps: readonly Planned[]): ReadonlySet<number> => new Set(steps.flatMap((step): readonly number[] => {
  switch (step.kind) {
    case 'kernel': return step.runs.map(({ output }) => output)
    case 'copy': return [step.to]
    case 'loop': return [...writtenBy(step.steps)]
  }
}))

/** Makes an executable of a program whose kernels are ready, by number; it keeps the lease until it is disposed of. */
export const executableOn = (lease: Lease, program: ProgramInfo, file: GlProgram, kernels: readonly Run[]): Executable => {
  const { engine } = lease
  const find = finder(program)
  const planned = planOf(file)
  const written = writtenBy(planned)
  const texels = file.arrays.map(texelsOf)
  const cells: Cell[] = file.arrays.map(() => ({ texture: null, users: 1 }))
  const state = { over: false, memory: footprint(file, planned, engine.bytesOf) }
  const shared = new Set<string>()
  const pending = new Set<Promise<unknown>>()
  const inputs = new Map(program.inputs.map((slot, i) => [slot, file.inputs[i] ?? -1] as const))
  const outputs = new Map(program.outputs.map((slot, i) => [slot, file.outputs[i] ?? -1] as const))

  const usable = (): void => {
    if (state.over) refuse({ kind: 'usage', message: `${program.id} has been disposed of: it cannot be used any more`, remedy: 'Load it again.' })
    const failure = engine.failure()
    if (failure !== null) throw new Refusal(failure)
  }
  /** What goes wrong on the device below is a failure of it for all: its arrays cannot be trusted any more. */
  const guarded = <A>(doing: string, f: () => A): A => {
    usable()
    try {
      return f()
    } catch (error) {
      engine.fail(error instanceof Refusal ? error.failure
        : glFailure('validation', `refused while ${doing}: ${error instanceof Error ? error.message : String(error)}`, remedies.bug))
      throw new Refusal(engine.failure() ?? { kind: 'bug', where: doing, message: String(error) })
    }
  }
  const missing = (what: string): never => refuse({ kind: 'bug', where: `the WebGL program of ${program.id}`, message: `there is no ${what}` })
  const cellAt = (array: number): Cell => cells[array] ?? missing(`array ${array}`)
  const put = (array: number, texture: Texture): void => {
    const cell = cellAt(array)
    cell.texture?.release()
    cell.texture = texture
  }
  /** What has not been written yet is zeros, once it is looked at. */
  const textureOf = (cell: Cell, size: number): Texture => (cell.texture ??= engine.zeros(size))
  const at = (array: number): Texture => textureOf(cellAt(array), texels[array] ?? 0)

  const runAll = (runs: GlKernelStep['runs'], turns: readonly number[]): void => {
    const made = runs.map(({ kernel, inputs, output }) => (kernels[kernel] ?? missing(`kernel ${kernel}`))(inputs.map(at), turns))
    runs.forEach(({ output }, i) => {
      const texture = made[i]
      if (texture !== undefined) put(output, texture)
    })
  }
  const perform = (step: Planned, turns: readonly number[]): void => {
    switch (step.kind) {
      case 'kernel': runAll(step.runs, turns); break
      case 'copy': {
        const texture = at(step.from)
        texture.retain()
        put(step.to, texture)
        break
      }
      case 'loop': for (let i = 0; i < step.size; i++) for (const inner of step.steps) perform(inner, [...turns, i])
    }
    for (const array of step.drop) {
      const cell = cellAt(array)
      cell.texture?.release()
      cell.texture = null
    }
  }

  const writable = (path: string): Slot => {
    usable()
    if (shared.has(path)) refuse({ kind: 'usage', message: `${program.id}: ${path} is shared with another program, and cannot be set here` })
    return find.input(path)
  }
  const upload = (slot: Slot, data: ArrayLike<number>): void => {
    const array = inputs.get(slot) ?? -1
    guarded(`setting ${slot.path} of ${program.id}`, () => put(array, engine.upload(texels[array] ?? 0, numbers => writeArray(slot.dtype, data, numbers))))
  }
  const set: Executable['set'] = (path, data) => {
    const slot = writable(path)
    checkLength(program, slot, data)
    upload(slot, data)
  }

  const feeds = new Map<string, readonly (readonly [from: number, to: number])[]>()
  const feed: Executable['feed'] = (output, input) => {
    usable()
    const name = `${output} -> ${input}`
    const pairs = feeds.get(name) ?? feedPairs(program, output, input).flatMap(([a, b]): readonly (readonly [number, number])[] => {
      const [from, to] = [outputs.get(a) ?? -1, inputs.get(writable(b.path)) ?? -1]
      return from === to ? [] : [[from, to]]
    })
    feeds.set(name, pairs)
    guarded(`feeding ${name} of ${program.id}`, () => {
      const found = pairs.map(([from]) => at(from))
      found.forEach(texture => texture.retain())
      pairs.forEach(([, to], i) => {
        const texture = found[i]
        if (texture !== undefined) put(to, texture)
      })
    })
  }

  const awaited = async <A>(work: Promise<A>): Promise<A> => {
    pending.add(work)
    return work.finally(() => pending.delete(work))
  }
  const read: Executable['read'] = async (paths, of = 'results') => {
    usable()
    const found = paths.map(path => (of === 'inputs' ? find.input(path) : find.result(path)))
    // Held while they are read: what is called meanwhile makes other ones.
    const textures = guarded(`reading of ${program.id}`, () => found.map(slot => at(outputs.get(slot) ?? inputs.get(slot) ?? -1)))
    textures.forEach(texture => texture.retain())
    const copies = await awaited(engine.read(textures).finally(() => textures.forEach(texture => texture.release())))
    return found.map((slot, i) => readArray(slot.dtype, copies[i] ?? new Float32Array()))
  }

  const share: Executable['share'] = (source, pairs) => {
    usable()
    const other = insides.get(source)
    if (other === undefined || source === executable || other.engine !== engine) return false
    const wanted = pairs.map(([from, to]) => ({ path: to, source: other.array(from), slot: find.input(to) }))
    const problems = wanted.flatMap(({ slot, source: { slot: given } }) => given.dtype === slot.dtype && sameShape(given.shape, slot.shape) ? []
      : [`input ${slot.path} is ${typeText(slot)}, ${source.program.id} has ${given.path} as ${typeText(given)}`])
    if (problems.length > 0) refuse({ kind: 'arrays', program: program.id, problems })
    const places = wanted.map(({ slot }) => inputs.get(slot) ?? -1)
    // What this program writes itself, or has as another array as well, would be the other's too.
    if (places.some(array => written.has(array) || file.outputs.includes(array) || file.inputs.filter(one => one === array).length > 1)) return false
    wanted.forEach(({ path, source: { cell } }, i) => {
      const array = places[i] ?? -1
      if (cells[array] === cell) return
      if (!shared.has(path)) state.memory -= engine.bytesOf(texels[array] ?? 0)
      cell.users++
      letGo(cells[array])
      cells[array] = cell
      shared.add(path)
    })
    // What is shared cannot be fed any more.
    feeds.clear()
    return true
  }

  const executable: Executable = {
    program,
    device: 'webgl',
    variant: engine.words,
    arithmetic: engine.words,
    threads: 1,
    get memoryBytes() {
      return state.memory
    },
    steps: planned.length,
    set,
    setAll: arrays => Object.entries(arrays).forEach(([path, data]) => set(path, data)),
    fill: (path, write) => {
      const slot = writable(path)
      const view = viewFor(slot.dtype, sizeOfShape(slot.shape))
      write(view)
      upload(slot, view)
    },
    run: () => guarded(`running ${program.id}`, () => planned.forEach(step => perform(step, []))),
    runStep: step => {
      const found = planned[step]
      if (found === undefined) return refuse({ kind: 'usage', message: `${program.id} has ${planned.length} steps; there is no step ${step}` })
      guarded(`running step ${step} of ${program.id}`, () => perform(found, []))
    },
    feed,
    read,
    done: async () => {
      usable()
      await awaited(engine.done())
    },
    share,
    dispose: () => {
      if (state.over) return
      state.over = true
      cells.forEach(letGo)
      // The device stays until what was asked for before has come back.
      void Promise.allSettled([...pending]).then(lease.release)
    },
  }
  try {
    for (const { array, data } of file.constants) {
      const dtype = file.arrays[array]?.dtype ?? 'f32'
      put(array, engine.upload(texels[array] ?? 0, numbers => writeArray(dtype, data.map(Number), numbers)))
    }
  } catch (error) {
    cells.forEach(letGo)
    throw error
  }
  insides.set(executable, {
    engine,
    array: path => {
      usable()
      const slot = program.inputs.find(one => one.path === path) ?? find.result(path)
      return { slot, cell: cellAt(inputs.get(slot) ?? outputs.get(slot) ?? -1) }
    },
  })
  return executable
}
