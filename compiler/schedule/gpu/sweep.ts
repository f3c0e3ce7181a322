/** Sweeps: kernels that go once through whole arrays. Those with equal keys do the same to theirs, and may become one over all (pack.ts). */
import { collapse } from '../kernel/collapse.ts'
import { isConstant } from '../kernel/indexing.ts'
import type { Buffer, Expr, Index, Kernel, Plan, Step, Store, Var } from '../kernel/kernel.ts'

/** A kernel that goes once through some arrays from end to end, by one variable, and reads single elements of others. */
export type Sweep = {
  readonly at: number
  readonly kernel: Kernel
  readonly along: Var
  /** The arrays, in the order in which it comes to them. */
  readonly arrays: readonly number[]
  /** Equal where two kernels do the same to their arrays. */
  readonly key: string
}

export const elements = (buffer: Buffer): number => buffer.aval.shape.reduce((n, d) => n * d, 1)

/** Expressions as text, equal nodes once; null where it depends on its position other than by the elements that it loads. */
const template = (roots: readonly Expr[], load: (buffer: number, at: Index) => string | null): string | null => {
  const lines = new Map<Expr, number>()
  const texts = new Map<string, number>()
  const textOf = (e: Expr): string | null => {
    switch (e.kind) {
      case 'const':
        return `${e.dtype} ${Object.is(e.value, -0) ? '-0' : e.value}`
      case 'acc':
        return 'acc'
      case 'load':
        return load(e.buffer, e.at)
      case 'op': {
        const args = e.args.map(visit)
        return args.includes(-1) ? null : `${e.prim}.${e.dtype}${e.exponent === undefined ? '' : `^${e.exponent}`}(${args.join()})`
      }
      case 'index':
      case 'when':
      case 'random':
        return null
    }
  }
  const visit = (e: Expr): number => {
    const known = lines.get(e)
    if (known !== undefined) return known
    const text = textOf(e)
    const line = text === null ? -1 : (texts.get(text) ?? texts.size)
    if (text !== null) texts.set(text, line)
    lines.set(e, line)
    return line
  }
  const ends = roots.map(visit)
  return ends.includes(-1) ? null : `${[...texts.keys()].join('\n')}\n${ends.join()}`
}

/** The kernel as a sweep over whole arrays, of `along`'s values each. */
const sweep = (plan: Plan, at: number, kernel: Kernel, along: Var, roots: readonly Expr[], stores: readonly Store[]): Sweep | null => {
  const arrays: number[] = []
  const flat = (index: Index): boolean => {
    const [term, ...more] = index.terms
    return index.offset === 0 && more.length === 0 && term?.coef === 1 && term.atom.kind === 'var' && term.atom.id === along.id
  }
  const role = (buffer: number, index: Index): string | null => {
    const { aval, role } = plan.buffers[buffer]!
    if (isConstant(index)) return `#${buffer}[${index.offset}]`
    if (!flat(index) || elements(plan.buffers[buffer]!) !== along.size || role.kind === 'constant') return null
    const known = arrays.indexOf(buffer)
    return `${aval.dtype} $${known >= 0 ? known : arrays.push(buffer) - 1}`
  }
  const text = template(roots, role)
  const targets = stores.map(s => role(s.buffer, s.at))
  return text === null || targets.includes(null) ? null : { at, kernel, along, arrays, key: [text, ...targets].join('\n') }
}

/** An element-wise kernel as a sweep. */
export const elementwise = (plan: Plan, at: number, step: Step): Sweep | null => {
  if (step.kind !== 'kernel' || step.reduction !== null) return null
  const kernel = collapse(step)
  const [along, ...more] = kernel.vars
  if (along === undefined || more.length > 0) return null
  const found = sweep(plan, at, kernel, along, kernel.stores.map(s => s.value), kernel.stores)
  // a single element that it stores is no array
  return found?.kernel.stores.every(s => found.arrays.includes(s.buffer)) === true ? found : null
}

/** Whether an expression is zero where all that it loads is. */
const vanishes = (e: Expr, arrays: readonly number[]): boolean => {
  switch (e.kind) {
    case 'load':
      return arrays.includes(e.buffer)
    case 'const':
      return e.value === 0
    case 'op':
      if (e.prim === 'mul') return e.args.some(a => vanishes(a, arrays))
      return ['add', 'sub', 'neg', 'abs', 'sqrt', 'maximum', 'minimum'].includes(e.prim) && e.args.every(a => vanishes(a, arrays))
    case 'acc':
    case 'index':
    case 'when':
    case 'random':
      return false
  }
}

export const toNumbers = (plan: Plan, { vars, stores }: Kernel): boolean =>
  vars.length === 0 && stores.every(s => isConstant(s.at) && elements(plan.buffers[s.buffer]!) === 1)

/** A kernel that sums over whole arrays to one number. */
export const total = (plan: Plan, at: number, step: Step): Sweep | null => {
  if (step.kind !== 'kernel' || step.reduction?.kind !== 'reduce' || step.reduction.op !== 'sum') return null
  const kernel = collapse(step)
  const { reduction } = kernel
  const [along, ...more] = reduction?.vars ?? []
  if (!toNumbers(plan, kernel) || along === undefined || more.length > 0) return null
  if (reduction?.kind !== 'reduce' || reduction.dtype !== 'f32') return null
  const found = sweep(plan, at, kernel, along, [reduction.value], [])
  return found !== null && vanishes(reduction.value, found.arrays) ? found : null
}
