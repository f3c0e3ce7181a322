/**
 * Where in a buffer a store writes, turned round: from the number of an element to the values of the store's variables, and to whether
 * the element is the store's at all. A buffer is seen along axes, each stride a multiple of the next; along each of them a
 * place is offset + sum of coef * variable, which is taken apart digit by digit. What cannot be taken apart exactly is refused.
 */
import { refuse } from '../../../dsl/errors.ts'
import type { Index, Var } from '../kernel/kernel.ts'
import { type Builder, divided, multiplied } from '../nest/builder.ts'
import type { Vars } from '../nest/loops.ts'
import { type Value, i32 } from '../nest/nest.ts'

/** A variable of a store's place, with a positive coefficient: where `flipped`, what it counts is size - 1 - variable. */
type Term = { readonly coef: number; readonly v: Var; readonly flipped: boolean; readonly counts: 'variable' | 'counter' }
/** offset + sum of terms, all of them positive, the largest coefficient first. */
export type Placing = { readonly offset: number; readonly terms: readonly Term[] }

/** The place of a store, by its variables and the counters of the loops around it; `where` names the kernel in a refusal. */
export const placing = (at: Index, vars: readonly Var[], counters: readonly Var[], where: string): Placing => {
  let offset = at.offset
  const terms = at.terms.map(({ coef, atom }): Term => {
    const [own, counter] = atom.kind === 'var' ? [vars, counters].map(all => all.find(v => v.id === atom.id)) : []
    const v = own ?? counter
    if (v === undefined)
      return refuse({
        kind: 'limit', what: where, message: 'a place that it stores to is computed, and cannot be turned round', remedy: 'WebGPU and WebAssembly run it.',
      })
    if (coef < 0) offset += coef * (v.size - 1)
    return { coef: Math.abs(coef), v, flipped: coef < 0, counts: own === undefined ? 'counter' : 'variable' }
  })
  return { offset, terms: terms.filter(t => t.v.size > 1).sort((x, y) => y.coef - x.coef) }
}

/** Whether the place names all of a kernel's variables: by others one element would be written several times. */
export const covers = ({ terms }: Placing, vars: readonly Var[]): boolean => vars.every(v => v.size === 1 || terms.some(t => t.v.id === v.id))

/** Whether each place is one multiple of the stride and a rest below it, which no variable and no offset carries over. */
const keeps = ({ offset, terms }: Placing, stride: number): boolean =>
  terms.every(t => t.coef < stride || t.coef % stride === 0) &&
  (offset % stride) + terms.reduce((n, t) => (t.coef < stride ? n + t.coef * (t.v.size - 1) : n), 0) < stride

/** The strides of a buffer's axes, the largest first and 1 last: of those that are `wanted`, the first ones first, what fits each other and all stores. */
export const axesFor = (places: readonly Placing[], extent: number, wanted: readonly number[]): readonly number[] =>
  wanted
    .reduce<readonly number[]>((all, stride) => {
      const fits = stride > 1 && stride < extent && extent % stride === 0 && places.every(p => keeps(p, stride))
      return fits && all.every(s => s !== stride && (s % stride === 0 || stride % s === 0)) ? [...all, stride] : all
    }, [1])
    .toSorted((x, y) => y - x)

/** The place along each axis of an element. */
export const along = (b: Builder, axes: readonly number[], extent: number, element: Value): readonly Value[] => {
  const places: Value[] = []
  let rest = element
  for (let k = axes.length - 1; k >= 0; k -= 1) {
    const size = (k === 0 ? extent : axes[k - 1]!) / axes[k]!
    places.unshift(k === 0 ? rest : divided(b, rest, 'mod', size))
    if (k > 0) rest = divided(b, rest, 'div', size)
  }
  return places
}

/** Conditions that all hold where an element is the store's; null: always. And the variables there. */
export type Found = { readonly within: Value | null; readonly vars: Vars }

/** Takes the places of an element along the axes apart into the variables of a store. */
export const inverted = (b: Builder, place: Placing, axes: readonly number[], extent: number, at: readonly Value[], counters: Vars, where: string): Found => {
  const conditions: Value[] = []
  const vars = new Map<number, Value>()
  axes.forEach((stride, k) => {
    const above = k === 0 ? Infinity : axes[k - 1]!
    const size = (k === 0 ? extent : above) / stride
    const own = place.terms.filter(t => t.coef >= stride && t.coef < above).map(t => ({ ...t, coef: t.coef / stride }))
    const offset = Math.floor((place.offset % above) / stride)
    let rest = b.call('add', 'i32', at[k]!, i32(-offset))
    let [low, high] = [-offset, size - 1 - offset]
    for (const { coef, v, flipped } of own.filter(t => t.counts === 'counter')) {
      const counter = counters.get(v.id)!
      const value = flipped ? b.call('sub', 'i32', i32(v.size - 1), counter) : counter
      rest = b.call('sub', 'i32', rest, multiplied(b, value, coef))
      low -= coef * (v.size - 1)
    }
    const free = own.filter(t => t.counts === 'variable')
    if (free.length === 0) {
      if (low !== 0 || high !== 0) conditions.push(b.call('eq', 'bool', rest, i32(0)))
      return
    }
    if (low < 0) conditions.push(b.call('ge', 'bool', rest, i32(0)))
    free.forEach(({ coef, v, flipped }, n) => {
      const below = free.slice(n + 1)
      if (below.reduce((sum, t) => sum + t.coef * (t.v.size - 1), 0) >= coef)
        refuse({
          kind: 'limit', what: where, message: 'different variables lead to the same place that it stores to, which cannot be turned round',
          remedy: 'WebGPU and WebAssembly run it.',
        })
      const digit = coef === 1 ? rest : divided(b, rest, 'div', coef)
      if (Math.floor(high / coef) >= v.size) conditions.push(b.call('lt', 'bool', digit, i32(v.size)))
      vars.set(v.id, flipped ? b.call('sub', 'i32', i32(v.size - 1), digit) : digit)
      if (coef === 1) return
      rest = divided(b, rest, 'mod', coef)
      high = Math.min(high, coef - 1)
      if (n === free.length - 1) conditions.push(b.call('eq', 'bool', rest, i32(0)))
    })
  })
  const within = conditions.length === 0 ? null : conditions.reduce((x, y) => b.call('and', 'bool', x, y))
  return { within, vars }
}
