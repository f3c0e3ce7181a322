/**
 * Long reductions with few results leave most of a graphics processor idle, and a long sum in one number loses digits. Their terms
 * are cut into chunks, whose partial results a second kernel joins, in a fixed order; where there are many, that one is cut, too.
 */
import { asReduce } from '../elementwise/reduce.ts'
import { collapse, mapKernel } from '../kernel/collapse.ts'
import { add, indexing, scale, substitute, variable } from '../kernel/indexing.ts'
import type { Expr, Kernel, Reduction, Var } from '../kernel/kernel.ts'
import { loadsOf } from '../kernel/walk.ts'
import { byStride } from '../nest/loops.ts'
import { type Fresh, placeOver, sizeOf } from './fresh.ts'

/** So many elements at a time keep a device busy. */
const enough = 4096
/** The most terms that one element adds up. */
const mostTerms = 4096
/** The fewest terms of a chunk, and the most of a sum that is not worth a second kernel: also of the one that joins chunks, if that can be. */
const leastTerms = 128
const shortTerms = 1024

/** Into how many chunks the terms of each of so many results are cut. */
const chunksFor = (results: number, terms: number): number =>
  terms <= shortTerms ? 1 : Math.max(Math.ceil(terms / mostTerms), Math.min(shortTerms, Math.ceil(enough / results), Math.floor(terms / leastTerms)))

/** A variable in pieces: of `count` chunks each has `size` values, the last one fewer where they do not divide it. */
type Cut = { readonly v: Var; readonly count: number; readonly size: number }

/** The outer variables that count chunks as they are, and the one that is cut in pieces. */
const cutsOf = (order: readonly Var[], wanted: number): { readonly whole: readonly Var[]; readonly cut: Cut | null } => {
  const whole: Var[] = []
  for (const v of order) {
    const left = Math.ceil(wanted / sizeOf(whole))
    if (left <= 1) break
    if (v.size <= left) {
      whole.push(v)
      continue
    }
    const even = Array.from({ length: left }, (_, i) => left + i).find(n => v.size % n === 0)
    const size = Math.ceil(v.size / (even ?? left))
    return { whole, cut: { v, count: Math.ceil(v.size / size), size } }
  }
  return { whole, cut: null }
}

const neutral = (op: 'sum' | 'max' | 'min', dtype: Expr['dtype']): Expr => {
  const ends = { f32: [-Infinity, Infinity], i32: [-(2 ** 31), 2 ** 31 - 1], u32: [0, 2 ** 32 - 1], bool: [0, 1] } as const
  return { kind: 'const', dtype, value: op === 'sum' ? 0 : ends[dtype][op === 'max' ? 0 : 1] }
}

/** The kernels that do one after the other what one does, none with a long reduction. */
export const chunked = (given: Kernel, counters: readonly Var[], fresh: Fresh): readonly Kernel[] => {
  const { reduction: r } = given
  if (r === null) return [given]
  const wanted = chunksFor(sizeOf(given.vars), sizeOf(r.vars))
  if (wanted <= 1) return [given]
  const kernel = collapse({ ...given, reduction: asReduce(r) })
  const { reduction } = kernel
  if (reduction?.kind !== 'reduce') return [given]
  const { whole, cut } = cutsOf(byStride(reduction.vars, loadsOf([reduction.value])[0]?.at), wanted)
  const inner = reduction.vars.filter(v => !whole.includes(v) && v !== cut?.v)
  const chunk = cut === null ? null : fresh.variable(cut.count, 'chunk')
  const within = cut === null ? null : fresh.variable(cut.size, cut.v.name)
  const at = chunk === null || within === null ? null : add(scale(variable(chunk), cut!.size), variable(within))
  const all = [...counters, ...kernel.vars, ...reduction.vars, ...(chunk === null || within === null ? [] : [chunk, within])]
  const algebra = indexing(id => all.find(v => v.id === id)?.size ?? 1)
  const bare: Kernel = { ...kernel, stores: [] }
  const parted = at === null ? bare : mapKernel(bare, i => substitute(algebra, i, id => (id === cut!.v.id ? at : undefined)))
  const { value } = parted.reduction as Extract<Reduction, { kind: 'reduce' }> // rewriting keeps the kind of a reduction
  const uneven = cut !== null && cut.count * cut.size !== cut.v.size
  const inside: Expr = !uneven ? value
    : { kind: 'when', guards: [{ of: at!, below: cut.v.size, by: 1 }], then: value, otherwise: neutral(reduction.op, value.dtype), dtype: value.dtype }
  const terms = [...whole, ...(chunk === null ? [] : [chunk])]
  const buffer = fresh.buffer({ shape: [...terms, ...kernel.vars].map(v => v.size), dtype: reduction.dtype }, `${given.name} partial`)
  const partial: Kernel = {
    ...kernel, name: fresh.name(`${given.name}_partial`), vars: [...terms, ...kernel.vars],
    reduction: { ...reduction, vars: [...inner, ...(within === null ? [] : [within])], value: inside },
    stores: [{ buffer, at: placeOver([...terms, ...kernel.vars]), value: { kind: 'acc', dtype: reduction.dtype } }],
  }
  const joining = terms.map(v => fresh.variable(v.size, v.name))
  const last: Kernel = {
    ...kernel, reduction: { ...reduction, vars: joining, value: { kind: 'load', buffer, at: placeOver([...joining, ...kernel.vars]), dtype: reduction.dtype } },
  }
  return [partial, ...chunked(last, counters, fresh)]
}
