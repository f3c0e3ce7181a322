/**
 * Which arrays of a program are not needed any more after which step, worked out once: what lies between kernels is let go as early
 * as can be, and begins a call as zeros. Inputs, outputs and constants stay.
 */
import { texelsOf, type GlKernelStep, type GlProgram, type GlStep } from '../../gl-program.ts'

type Dropping = { readonly drop: readonly number[] }
/** A step and the arrays that are let go when it has been done. */
export type Planned =
  | (Dropping & { readonly kind: 'kernel'; readonly runs: GlKernelStep['runs'] })
  | (Dropping & { readonly kind: 'copy'; readonly from: number; readonly to: number })
  | (Dropping & { readonly kind: 'loop'; readonly size: number; readonly steps: readonly Planned[] })

type Numbers = ReadonlySet<number>
type Plan<A> = { readonly before: Numbers; readonly made: A }

const less = (a: Numbers, b: Numbers): Set<number> => new Set([...a].filter(x => !b.has(x)))
const both = (a: Iterable<number>, b: Iterable<number>): Set<number> => new Set([...a, ...b])

const planStep = (step: GlStep, after: Numbers): Plan<Planned> => {
  switch (step.kind) {
    case 'kernel': {
      const reads = new Set(step.runs.flatMap(({ inputs }) => inputs))
      const writes = new Set(step.runs.map(({ output }) => output))
      return { before: both(less(after, writes), reads), made: { kind: 'kernel', runs: step.runs, drop: [...less(both(reads, writes), after)] } }
    }
    case 'copy': {
      const { from, to } = step
      return { before: both(less(after, new Set([to])), [from]), made: { kind: 'copy', from, to, drop: [...less(new Set([from, to]), after)] } }
    }
    case 'loop': {
      if (step.size === 0) return { before: after, made: { kind: 'loop', size: 0, steps: [], drop: [] } }
      // What the next turn needs is needed after the last one as well: one pass finds it, the second uses it.
      const around = both(after, planSteps(step.steps, after).before)
      const { before, made } = planSteps(step.steps, around)
      return { before, made: { kind: 'loop', size: step.size, steps: made, drop: [...less(around, after)] } }
    }
  }
}

const planSteps = (steps: readonly GlStep[], after: Numbers): Plan<readonly Planned[]> =>
  steps.reduceRight<Plan<readonly Planned[]>>(({ before, made }, step) => {
    const planned = planStep(step, before)
    return { before: planned.before, made: [planned.made, ...made] }
  }, { before: after, made: [] })

/** Arrays that keep their contents from call to call. */
export const staying = ({ inputs, outputs, constants }: Pick<GlProgram, 'inputs' | 'outputs' | 'constants'>): Numbers =>
  new Set([...inputs, ...outputs, ...constants.map(({ array }) => array)])

export const planOf = (program: GlProgram): readonly Planned[] => planSteps(program.steps, staying(program)).made

/** A step of any kind, seen from outside: arrays that come, and arrays that go. */
type Visitor = {
  readonly make: (runs: GlKernelStep['runs']) => void
  readonly copy: (from: number, to: number) => void
  readonly drop: (arrays: readonly number[]) => void
}

const walk = (steps: readonly Planned[], visitor: Visitor): void => {
  for (const step of steps) {
    switch (step.kind) {
      case 'kernel': visitor.make(step.runs); break
      case 'copy': visitor.copy(step.from, step.to); break
      // The second turn takes the place of what the first one made; those after it are as it.
      case 'loop': for (let i = 0; i < Math.min(2, step.size); i++) walk(step.steps, visitor)
    }
    visitor.drop(step.drop)
  }
}

/** Bytes of all textures that a program needs for itself: its arrays, and what calls make besides, which is kept from call to call by size. */
export const footprint = (program: GlProgram, planned: readonly Planned[], bytesOf: (texels: number) => number): number => {
  const texels = program.arrays.map(texelsOf)
  const bytes = (array: number): number => bytesOf(texels[array] ?? 0)
  // Textures by size; as numbers of what is held now, and of the most there were.
  const now = new Map<number, number>()
  const most = new Map<number, number>()
  const users = new Map<object, number>()
  const where: (object | undefined)[] = program.arrays.map(() => undefined)
  const count = (size: number, change: number): void => {
    const sum = (now.get(size) ?? 0) + change
    now.set(size, sum)
    most.set(size, Math.max(most.get(size) ?? 0, sum))
  }
  const release = (array: number): void => {
    const held = where[array]
    where[array] = undefined
    if (held === undefined) return
    const left = (users.get(held) ?? 0) - 1
    users.set(held, left)
    if (left === 0) count(bytes(array), -1)
  }
  const fresh = (array: number): object => {
    const made = {}
    users.set(made, 1)
    count(bytes(array), 1)
    return made
  }
  const ensure = (array: number): object => (where[array] ??= fresh(array))
  for (const array of staying(program)) ensure(array)
  const make: Visitor['make'] = runs => {
    runs.forEach(({ inputs }) => inputs.forEach(ensure))
    const made = runs.map(({ output }) => fresh(output))
    runs.forEach(({ output }, i) => {
      release(output)
      where[output] = made[i]
    })
  }
  const copy: Visitor['copy'] = (from, to) => {
    const held = ensure(from)
    users.set(held, (users.get(held) ?? 0) + 1)
    release(to)
    where[to] = held
  }
  for (let call = 0; call < 2; call++) walk(planned, { make, copy, drop: arrays => arrays.forEach(release) })
  return [...most].reduce((sum, [size, times]) => sum + size * times, 0)
}
