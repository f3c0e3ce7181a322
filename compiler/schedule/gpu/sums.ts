/**
 * Sums over many arrays that are added up - the squares of all gradients - become few: over the packs that the arrays are part of, or over
 * one of their own.
 */
import { zero } from '../kernel/indexing.ts'
import type { Buffer, Expr, Index, Kernel, Plan, Store } from '../kernel/kernel.ts'
import { expressions, loadsOf } from '../kernel/walk.ts'
import { type Packed, type Touched, fewest, laidOut, originsOf, over, plainName, replaced, unpacked } from './layout.ts'
import type { Pack } from './slots.ts'
import { type Sweep, elements, toNumbers } from './sweep.ts'

/** Every sum of a group as a load of a buffer that is not there: -1, -2, ... */
const marker = (i: number): Expr => ({ kind: 'load', buffer: -1 - i, at: zero, dtype: 'f32' })

/** Rewrites an expression from its leaves up, every node once. */
const rewritten = (root: Expr, leaf: (e: Expr) => Expr): Expr => {
  const done = new Map<Expr, Expr>()
  const visit = (e: Expr): Expr => {
    const known = done.get(e)
    if (known !== undefined) return known
    const made: Expr = e.kind === 'op' ? { ...e, args: e.args.map(visit) } : leaf(e)
    done.set(e, made)
    return made
  }
  return visit(root)
}

/** The terms of a sum: those of the sums that it adds. */
const terms = (e: Expr): readonly Expr[] => (e.kind === 'op' && e.prim === 'add' && e.dtype === 'f32' ? e.args.flatMap(terms) : [e])
const plus = (a: Expr, b: Expr): Expr => ({ kind: 'op', prim: 'add', args: [a, b], dtype: 'f32' })

const markersOf = (e: Expr): ReadonlySet<number> => new Set(terms(e).flatMap(t => (t.kind === 'load' && t.buffer < 0 ? [t.buffer] : [])))

/** The markers of the longest sum below an expression. */
const longest = (root: Expr): ReadonlySet<number> => {
  const below = root.kind === 'op' ? root.args.map(longest) : []
  return [markersOf(root), ...below].reduce((a, b) => (b.size > a.size ? b : a))
}

/** With the total of some markers in the place of each of them wherever all are added up; what is added oftener stays, too. */
const withTotal = (root: Expr, marked: ReadonlySet<number>, total: Expr): Expr => {
  const own = markersOf(root)
  if ([...marked].every(m => own.has(m))) {
    const left = new Set(marked)
    return terms(root).filter(t => !(t.kind === 'load' && left.delete(t.buffer))).reduce(plus, total)
  }
  return root.kind === 'op' ? { ...root, args: root.args.map(a => withTotal(a, marked, total)) } : root
}

/** Whether someone may read what a buffer holds after step `at`: another step, or the caller. */
const liveAfter = (plan: Plan, touched: readonly Touched[], at: number, buffer: number): boolean => {
  const outside = plan.buffers.some(({ id, role }) => (id === buffer && role.kind !== 'scratch') || (role.kind === 'output' && role.over === buffer))
  const next = touched.slice(at + 1).find(({ reads, writes }) => reads.has(buffer) || writes.has(buffer))
  return outside || next?.reads.has(buffer) === true
}

/** What the last of some sums stores, in terms of markers; `links` are reductions of other shapes among them, with markers after those of the sums. */
type Summary = { readonly stores: readonly Store[]; readonly links: readonly { readonly at: number; readonly kernel: Kernel }[] }

/** A summary of some sums over single arrays, if nothing else sees what they store; null otherwise. */
const summary = (plan: Plan, group: readonly Sweep[], touched: readonly Touched[]): Summary | null => {
  const at = new Map(group.map((s, i) => [s.at, i]))
  const [first, last] = [group[0]!.at, group[group.length - 1]!.at]
  const values = new Map<number, Expr>()
  const needed = new Set<number>()
  const links: { readonly at: number; readonly kernel: Kernel }[] = []
  let stores: readonly Store[] = []
  for (let step = first; step <= last; step += 1) {
    const { reads, writes } = touched[step]!
    const [i, other] = [at.get(step), plan.steps[step]!]
    const meets = [...reads, ...writes].some(b => values.has(b)) || [...writes].some(b => needed.has(b))
    if (i === undefined && !meets) continue
    const kernel = i === undefined ? other : group[i]!.kernel
    if (kernel.kind !== 'kernel' || kernel.reduction === null || !toNumbers(plan, kernel)) return null
    if (loadsOf(expressions({ ...kernel, stores: [] })).some(l => values.has(l.buffer))) return null
    const own = marker(i ?? group.length + links.push({ at: step, kernel }) - 1)
    reads.forEach(b => needed.add(b))
    stores = kernel.stores.map(s => {
      const value = rewritten(s.value, e => (e.kind === 'acc' ? own : e.kind === 'load' ? (values.get(e.buffer) ?? e) : e))
      values.set(s.buffer, value)
      return { ...s, value }
    })
  }
  const results = stores.map(s => s.buffer)
  // what one store has written, the next would read
  const clobbered = stores.some(({ value }, i) => loadsOf([value]).some(l => results.slice(0, i).includes(l.buffer)))
  return clobbered || [...values.keys()].some(b => !results.includes(b) && liveAfter(plan, touched, last, b)) ? null : { stores, links }
}

/**
 * Makes few sums of sums over arrays of one role that are added up, if that can be: one over every pack that lies among the arrays, one over
 * all that are in no pack, which become one; others stay what they are, as do reductions of other shapes that are added, too.
 */
export const summed = ({ plan, packs }: Packed, given: readonly Sweep[], touched: readonly Touched[]): Packed | null => {
  const found = given.length < fewest || given[0]!.arrays.length !== 1 ? null : summary(plan, given, touched)
  if (found === null) return null
  const all = found.stores.map(s => longest(s.value)).reduce((a, b) => (b.size > a.size ? b : a))
  const marked = new Set([...all].filter(m => m >= -given.length))
  const group = given.filter((_, i) => marked.has(-1 - i))
  const arrays = group.flatMap(s => s.arrays)
  if (group.length < fewest || new Set(arrays).size !== arrays.length) return null
  // what a kernel over a whole range has written into its gaps is not zero
  const clean = (p: Pack): boolean => touched.every(({ writes }) => !writes.has(p.buffer))
  const whole = packs.filter(p => p.members.every(m => arrays.includes(m.buffer)) && clean(p))
  const left = arrays.filter(a => whole.every(p => p.members.every(m => m.buffer !== a)))
  const free = left.filter(a => unpacked([a], packs))
  const last = given[given.length - 1]!
  const name = plainName(last.kernel.name)
  const made = free.length < fewest ? null : laidOut(plan, plan.buffers.length, free, name)
  const packed = [...plan.buffers, ...(made === null ? [] : [made.buffer])]
  const ranges = [...whole.map(p => p.buffer), ...(made === null ? [] : [made.buffer.id]), ...left.filter(a => made === null || !free.includes(a))]
  const acc: Expr = { kind: 'acc', dtype: 'f32' }
  // every sum but that of the last kernel is kept until that has its own: those over ranges, and those that markers are left of
  const sums = packed.length
  const keptAt = (i: number): Index => ({ offset: i, terms: [] })
  const kept = (i: number): Expr => ({ kind: 'load', buffer: sums, at: keptAt(i), dtype: 'f32' })
  const totals = ranges.slice(1).map((_, i) => kept(i)).reduce(plus, acc)
  const stores = found.stores.map(s => ({ ...s, value: withTotal(s.value, marked, totals) }))
  const still = [...new Set(loadsOf(stores.map(s => s.value)).flatMap(l => (l.buffer < 0 ? [-1 - l.buffer] : [])))]
  const apart = still.filter(i => i < given.length)
  if (ranges.length + apart.length >= given.length) return null
  const placeOf = new Map(still.map((m, i) => [m, ranges.length - 1 + i]))
  const value = (e: Expr): Expr => rewritten(e, l => (l.kind === 'load' && l.buffer < 0 ? kept(placeOf.get(-1 - l.buffer)!) : l))
  const keep = (kernel: Kernel, i: number): Kernel => ({ ...kernel, stores: [{ buffer: sums, at: keptAt(i), value: acc }] })
  const kernels = [
    ...apart.map(i => keep(given[i]!.kernel, placeOf.get(i)!)),
    ...ranges.map((range, i): Kernel => {
      const one = { ...over(last, [range], elements(packed[range]!)), name: `${name}_${i + 1}`, origins: originsOf(group) }
      return i === 0 ? one : keep(one, i - 1)
    }).reverse(),
  ]
  const final: Kernel = { ...kernels[kernels.length - 1]!, name, stores: stores.map(s => ({ ...s, value: value(s.value) })) }
  const links = new Map(found.links.map(({ at, kernel }, i) => {
    const place = placeOf.get(given.length + i)
    return [at, place === undefined ? [] : [keep(kernel, place)]] as const
  }))
  const steps = replaced(plan.steps, given, [...kernels.slice(0, -1), final], links)
  const length = ranges.length - 1 + still.length
  const buffer: Buffer = { id: sums, aval: { shape: [length], dtype: 'f32' }, name: 'sums', role: { kind: 'scratch' } }
  const buffers = length === 0 ? packed : [...packed, buffer]
  return { plan: { buffers, steps }, packs: made === null ? packs : [...packs, made.pack] }
}
