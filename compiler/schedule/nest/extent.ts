/**
 * Cutting a kernel into the independent parts that threads share: as many outer variables as give enough parts are
 * counted as one, and the last of them goes in blocks. Blocks lie at fixed places, so that no result depends on where a
 * range of parts begins.
 */
import { type Composite, decode, sizeOf } from './composite.ts'
import { divided, multiplied } from './builder.ts'
import type { Expr, Reduction, Store, Var } from '../kernel/kernel.ts'
import type { Scope, Span, Vars } from './loops.ts'
import { i32 } from './nest.ts'
import { transcendental } from './operations.ts'
import { walk } from '../kernel/walk.ts'

/** How many parts are enough, and nanoseconds of work that are worth a part. */
const enough = 64
const least = 5_000

/** Operations that take as long as dozens of others. */
export const slow: ReadonlySet<string> = new Set([...transcendental, 'pow'])

/** Nanoseconds to compute some values once, roughly: 20 operations or two words of memory in one. */
const timeOf = (values: readonly Expr[]): number => {
  let [operations, words] = [1, 0]
  walk(values, e => {
    if (e.kind === 'load') words += 1
    if (e.kind === 'op') operations += slow.has(e.prim) ? 40 : e.prim === 'div' || e.prim === 'sqrt' || e.prim === 'rsqrt' ? 8 : 1
    if (e.kind === 'random') operations += 60
  })
  return Math.max(operations / 20, words / 2)
}

/** Nanoseconds of a whole kernel, roughly. */
export const workOf = (vars: Composite, reduction: Extract<Reduction, { kind: 'reduce' }> | null, stores: readonly Store[]): number => {
  const each = timeOf(stores.map(s => s.value)) + stores.length / 2
  return sizeOf(vars) * (each + (reduction === null ? 0 : sizeOf(reduction.vars) * timeOf([reduction.value])))
}

/** Into how many parts so many nanoseconds of work are to be cut. */
export const partsFor = (work: number): number => Math.max(1, Math.min(enough, Math.floor(work / least)))

/** Each assignment of `heads`, and each block of the variable after them, is a part. */
export type Cut = { readonly heads: Composite; readonly tail: { readonly v: Var; readonly block: number } | null; readonly extent: number }

/** Cuts loops in the given order into about `wanted` parts; blocks of a variable are multiples of its grain. */
export const cut = (order: readonly Var[], grain: (v: Var) => number, wanted: number): Cut => {
  let heads: Composite = []
  for (const v of order) {
    const parts = sizeOf(heads)
    if (parts >= wanted) break
    const most = Math.ceil(v.size / grain(v))
    if (grain(v) === 1 && parts * most <= 2 * wanted) {
      heads = [...heads, v]
      continue
    }
    const block = Math.ceil(v.size / grain(v) / Math.min(most, Math.ceil(wanted / parts))) * grain(v)
    return { heads, tail: { v, block }, extent: parts * Math.ceil(v.size / block) }
  }
  return { heads, tail: null, extent: sizeOf(heads) }
}

/** Visits the parts lo .. hi-1 of a cut. Blocks that lie beside each other and have nothing before them are one span. */
export const overParts = ({ b, lo, hi, vars }: Scope, { heads, tail, extent }: Cut, body: (vars: Vars, span: Span | null) => void): void => {
  const end = (index: typeof lo): Span['to'] => b.call('min', 'i32', multiplied(b, index, tail!.block), i32(tail!.v.size))
  if (heads.length === 0) return body(vars, tail === null ? null : { from: multiplied(b, lo, tail.block), to: end(hi) })
  const blocks = extent / sizeOf(heads)
  b.loop('part', lo, hi, 1, part => {
    const here = new Map([...vars, ...decode(b, heads, blocks === 1 ? part : divided(b, part, 'div', blocks))])
    if (tail === null) return body(here, null)
    const from = multiplied(b, blocks === 1 ? i32(0) : divided(b, part, 'mod', blocks), tail.block)
    const to = b.call('add', 'i32', from, i32(tail.block))
    body(here, { from, to: tail.v.size % tail.block === 0 ? to : b.call('min', 'i32', to, i32(tail.v.size)) })
  })
}
