/**
 * A kernel as text, without what its schedule and its shaders do not depend on: names of kernels and buffers, source lines, the numbers
 * of buffers and variables. Programs have many kernels in common: the loss is part of the gradient, which is part of the training step.
 */
import { mapKernel } from '../../schedule/kernel/collapse.ts'
import { indexKey, ofAtom } from '../../schedule/kernel/indexing.ts'
import type { Buffer, Expr, Guard, Index, Kernel, Term, Var } from '../../schedule/kernel/kernel.ts'

/** The text, the buffers of the kernel in the order in which it comes to them, and what all kernels with this text are but for their name. */
type Keyed = {
  readonly key: string
  readonly operands: readonly number[]
  /** Buffers are numbers of operands, and variables are numbered as they are declared, those of `counters` first. */
  readonly canonical: (kernel: Kernel) => Kernel
  readonly counters: readonly Var[]
}

const number = (x: number): string => (Object.is(x, -0) ? '-0' : `${x}`)

/**
 * Equal keys: kernels that differ in names and numbers alone, within the same loops, over buffers of the same types and sizes. `operands`
 * are those of kernels before it with which it is one, and gets its own.
 */
export const keyOf = (kernel: Kernel, counters: readonly Var[], bufferOf: (id: number) => Buffer, operands = new Map<number, number>()): Keyed => {
  const variables = new Map<number, number>()
  const lines: string[] = []
  const done = new Map<Expr, number>()
  const numbers = new Map<string, number>()
  const sizes: string[] = []
  const declare = (vars: readonly Var[]): string => {
    for (const v of vars) variables.set(v.id, variables.size)
    return vars.map(v => `${v.name}<${v.size}`).join()
  }
  const buffer = (id: number): string => {
    const known = operands.get(id)
    if (known !== undefined) return `#${known}`
    const { dtype, shape } = bufferOf(id).aval
    operands.set(id, operands.size)
    sizes.push(`${dtype} ${shape.reduce((n, d) => n * d, 1)}`)
    return `#${operands.size - 1}`
  }
  const term = ({ coef, atom }: Term): string => {
    switch (atom.kind) {
      case 'var':
        return `${variables.get(atom.id)!}*${coef}`
      case 'div':
      case 'mod':
        return `(${index(atom.of)})${atom.kind}${atom.by}*${coef}`
      case 'value':
        return `@${line(atom.expr)}*${coef}`
    }
  }
  const index = ({ offset, terms }: Index): string => `${terms.map(term).sort().join('+')}+${offset}`
  const guard = (g: Guard): string => `${index(g.of)}<${g.below}/${g.by}`
  const textOf = (e: Expr): string => {
    switch (e.kind) {
      case 'const':
        return `${e.dtype} ${number(e.value)}`
      case 'acc':
        return `acc ${e.dtype}`
      case 'load':
        return `${buffer(e.buffer)} ${e.dtype}[${index(e.at)}]`
      case 'index':
        return `${e.dtype}(${index(e.of)})`
      case 'op':
        return `${e.prim} ${e.dtype} ${e.exponent === undefined ? '' : number(e.exponent)}(${e.args.map(line).join()})`
      case 'when':
        return `${e.dtype} ${e.guards.map(guard).join('&')}?${line(e.then)}:${line(e.otherwise)}`
      case 'random':
        return `random ${line(e.key0)},${line(e.key1)}[${index(e.of)}]${e.count}`
    }
  }
  /** The number of an expression: equal ones have one. */
  const line = (e: Expr): number => {
    const known = done.get(e)
    if (known !== undefined) return known
    const text = textOf(e)
    const found = numbers.get(text) ?? lines.push(text) - 1
    numbers.set(text, found)
    done.set(e, found)
    return found
  }
  const { vars, reduction, stores } = kernel
  const head = [declare(counters), declare(vars)]
  if (reduction !== null) {
    head.push(`${reduction.kind === 'reduce' ? reduction.op : 'product'} ${reduction.dtype} ${declare(reduction.vars)}`)
    head.push(reduction.kind === 'reduce' ? `${line(reduction.value)}` : `${line(reduction.a)},${line(reduction.b)}`)
  }
  const ends = stores.map(s => `${buffer(s.buffer)}[${index(s.at)}]=${line(s.value)}`)
  const renamed = (vars: readonly Var[]): readonly Var[] => vars.map(v => ({ ...v, id: variables.get(v.id)! }))
  const renamedIndex = ({ offset, terms }: Index): Index => {
    const own = terms.map((t): Term => (t.atom.kind === 'var' ? { ...t, atom: { kind: 'var', id: variables.get(t.atom.id)! } } : t))
    // in the normal order of indices; what is computed comes first, as it stands
    const keyed = own.map(t => [t.atom.kind === 'value' ? '' : indexKey(ofAtom(t.atom)), t] as const)
    return { offset, terms: keyed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, t]) => t) }
  }
  const canonical = (of: Kernel): Kernel => {
    const made = mapKernel(of, renamedIndex, g => g, l => ({ ...l, buffer: operands.get(l.buffer)! }))
    return {
      ...made, vars: renamed(made.vars), reduction: made.reduction === null ? null : { ...made.reduction, vars: renamed(made.reduction.vars) },
      stores: made.stores.map(s => ({ ...s, buffer: operands.get(s.buffer)! })),
    }
  }
  return { key: [...head, ...lines, ...ends, ...sizes].join('\n'), operands: [...operands.keys()], canonical, counters: renamed(counters) }
}
