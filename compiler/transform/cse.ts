/**
 * Common subexpression elimination: of instructions that say the same of the same values, the first one stays.
 */
import type { Attrs, Contraction, Dimension, Prim } from '../../dsl/core/prim.ts'
import type { Func, Id, Inst, Op } from '../ir/ir.ts'
import { at, defined, used } from '../ir/view.ts'
import { rewrite } from './rewrite.ts'

export const cse = (func: Func): Func => {
  const seen = new WeakMap<object, Map<string, readonly Id[]>>() // by builder: one scope per function body
  const first = (scope: object, key: string, make: () => readonly Id[]): readonly Id[] => {
    const known = seen.get(scope) ?? new Map<string, readonly Id[]>()
    seen.set(scope, known)
    const before = known.get(key)
    if (before !== undefined) return before
    const made = make()
    known.set(key, made)
    return made
  }
  return rewrite(
    func,
    ({ b, inputs }, op) => at(first(b, keyOfOp(op, inputs), () => [b.copy(op, inputs)]), 0),
    (b, scan) =>
      first(b, `scan ${scan.length} ${scan.reverse} ${scan.consts} ; ${scan.init} ; ${scan.xs} ${keyOf(scan.body)}`, () => b.scan(scan, scan.origin)),
  )
}

const commutative: ReadonlySet<Prim> = new Set<Prim>(['add', 'mul', 'maximum', 'minimum', 'and', 'or', 'xor', 'eq', 'ne'])

const keyOfOp = (op: Op, inputs: readonly Id[]): string => {
  const operands = commutative.has(op.prim) ? inputs.toSorted((x, y) => x - y) : inputs
  return `${op.prim} ${operands.join(' ')} ${keyOfAttrs(op)}`
}

const keyOfAttrs = (op: Op): string => {
  if (op.prim === 'contract') return keyOfContraction(op.attrs)
  const attrs = op.attrs as Attrs[Prim]
  // -0 and 0, NaN and null look the same in JSON
  const special = (x: unknown): boolean => typeof x === 'number' && (Object.is(x, -0) || !Number.isFinite(x))
  return JSON.stringify(attrs, (_, value: unknown) => (special(value) ? `special ${Object.is(value, -0) ? '-0' : String(value)}` : value))
}

/** Labels are numbered as they come, so that their names do not count. */
const keyOfContraction = ({ sizes, a, b, out }: Contraction): string => {
  const numbers = new Map<string, number>()
  const number = (label: string): string => {
    const known = numbers.get(label) ?? numbers.size
    numbers.set(label, known)
    return `${known}:${sizes[label]}`
  }
  const dim = (d: Dimension): string => (typeof d === 'string' ? number(d) : `(${number(d.p)} ${number(d.k)} ${d.stride} ${d.dilation} ${d.pad} ${d.base})`)
  return `${a.map(dim)} ; ${b.map(dim)} ; ${out.map(number)}`
}

/** The same text for functions that differ only in ids, paths and origins. */
export const keyOf = (func: Func): string => {
  const names = new Map<Id, Id>()
  const give = (id: Id): void => {
    names.set(id, names.size)
  }
  const name = (id: Id): Id => names.get(id) ?? -1
  func.params.forEach(param => give(param.id))
  const line = (inst: Inst): string => {
    const text =
      inst.kind === 'op'
        ? keyOfOp(inst, inst.inputs.map(name))
        : `scan ${inst.length} ${inst.reverse} ${inst.consts.length} ${inst.init.length} ${used(inst).map(name)} ${keyOf(inst.body)}`
    defined(inst).forEach(give)
    return text
  }
  const params = func.params.map(({ aval }) => `${aval.dtype}${aval.shape.join(',')}`).join(' ')
  return `{${params} | ${func.insts.map(line).join(' | ')} | ${func.results.map(name)}}`
}
