/**
 * Splits scans: work that does not depend on the carries moves in front of the loop, and work that no carry depends on
 * behind it, batched over all steps. What is left in the loop is the recurrence. The input projection of a recurrent
 * layer becomes one large product, and a loss over its outputs runs in parallel over time.
 */
import { elementwise, type Aval, type Prim } from '../../dsl/core/prim.ts'
import { type Builder, builder, replay } from '../ir/build.ts'
import type { Func, Id, Inst, Op, Scan } from '../ir/ir.ts'
import { at, avalsOf, count, defined, opsById, partsOf, used } from '../ir/view.ts'
import { batch } from './batch.ts'
import { dce } from './dce.ts'
import { rewrite } from './rewrite.ts'

export const fission = (func: Func): Func => rewrite(func, () => null, (b, scan) => (scan.length < 2 ? null : (splitAhead(b, scan) ?? splitBehind(b, scan))))

const isElementwise = (prim: Prim): boolean => (elementwise as readonly Prim[]).includes(prim)

/** Instructions that take a kernel of their own in each step. */
const makesKernel = (inst: Inst): boolean => inst.kind === 'scan' || ['contract', 'sum', 'max', 'min'].includes(inst.prim)

/** The sums that a carry adds up over the steps: their terms are better summed each on its own (accumulate.ts). */
const summandsOf = (scan: Scan): ReadonlySet<Id> => {
  const ops = opsById(scan.body)
  const sums = new Set<Id>()
  const visit = (id: Id): void => {
    const op = ops.get(id)
    if (op?.prim !== 'add' || sums.has(id)) return
    sums.add(id)
    op.inputs.forEach(visit)
  }
  partsOf(scan).next.forEach(visit)
  return sums
}

/** The instructions that depend on `roots` and constants alone. */
const closure = (insts: readonly Inst[], roots: readonly Id[]): { readonly insts: readonly Inst[]; readonly ids: ReadonlySet<Id> } => {
  const ids = new Set<Id>(roots)
  const within = insts.filter(inst => {
    const is = used(inst).every(id => ids.has(id))
    if (is) for (const id of defined(inst)) ids.add(id)
    return is
  })
  return { insts: within, ids }
}

const idsOf = (params: Func['params']): readonly Id[] => params.map(param => param.id)

/** Products and reductions of slices and constants, for all steps at once, become sequences. */
const splitAhead = (b: Builder, scan: Scan): readonly Id[] | null => {
  const { consts, carries, slices } = partsOf(scan)
  const fixed = closure(scan.body.insts, idsOf(consts))
  const early = closure(scan.body.insts, [...idsOf(consts), ...idsOf(slices)])
  const moving = new Set(early.insts.filter(inst => makesKernel(inst) && !defined(inst).every(id => fixed.ids.has(id))))
  if (moving.size === 0) return null
  // and what is done to them alone, element by element: it ends the same kernel, and takes no more memory
  const readers = new Map<Id, number>()
  for (const id of [...scan.body.insts.flatMap(used), ...scan.body.results]) readers.set(id, (readers.get(id) ?? 0) + 1)
  const summed = summandsOf(scan)
  const made = new Set<Id>([...moving].flatMap(defined))
  for (const inst of early.insts) {
    const varying = used(inst).filter(id => !fixed.ids.has(id))
    if (inst.kind !== 'op' || !isElementwise(inst.prim) || summed.has(inst.id) || varying.length === 0 || !varying.every(id => made.has(id) && readers.get(id) === 1)) continue
    moving.add(inst)
    made.add(inst.id)
  }
  const reads = new Set<Id>([...scan.body.insts.filter(inst => !moving.has(inst)).flatMap(used), ...scan.body.results])
  const values = [...moving].flatMap(defined).filter(id => reads.has(id))
  const func = dce({ params: [...consts, ...slices], insts: early.insts, results: values })
  const ahead = b.inline(batch(func, [...consts.map(() => false), ...slices.map(() => true)], scan.length), [...scan.consts, ...scan.xs])

  const body = builder()
  const names = new Map<Id, Id>()
  for (const param of [...consts, ...carries, ...slices]) names.set(param.id, body.param(param.aval, param.path))
  values.forEach((id, i) => {
    const { shape, dtype } = b.aval(at(ahead, i))
    names.set(id, body.param({ shape: shape.slice(1), dtype }))
  })
  const rest = dce({ ...scan.body, insts: scan.body.insts.filter(inst => !moving.has(inst)) })
  return b.scan({ ...scan, xs: [...scan.xs, ...ahead], body: body.finish(replay(body, rest, names)) }, scan.origin)
}

/** A step may stack this many elements more for each one that it then does not compute, where that saves a kernel. */
const worth = 4

/** The inputs of a concatenation as slices of it. */
const partsOfConcat = (avals: ReadonlyMap<Id, Aval>) => (inst: Inst): readonly Op[] => {
  if (inst.kind !== 'op' || inst.prim !== 'concat') return []
  const { axis } = inst.attrs
  const avalOf = (id: Id): Aval => avals.get(id) ?? inst.aval
  const from = (i: number): number => inst.inputs.slice(0, i).reduce((n, id) => n + at(avalOf(id).shape, axis), 0)
  return inst.inputs.map((id, i): Op => {
    const aval = avalOf(id)
    const start = aval.shape.map((_, d) => (d === axis ? from(i) : 0))
    const attrs = { start, limit: aval.shape.map((size, d) => at(start, d) + size), step: start.map(() => 1) }
    return { kind: 'op', prim: 'slice', attrs, inputs: [inst.id], id, aval, origin: inst.origin }
  })
}

/** What only ys need, for all steps at once, from stacked values of the recurrence. */
const splitBehind = (b: Builder, scan: Scan): readonly Id[] | null => {
  const { consts, slices, next, ys } = partsOf(scan)
  const { insts, params } = scan.body
  const avals = avalsOf(scan.body)
  const size = (id: Id): number => count(avals.get(id)?.shape ?? [])
  const fixed = closure(insts, idsOf(consts))
  const core = new Set(dce({ params, insts, results: next }).insts.flatMap(defined))
  const late = insts.filter(inst => !defined(inst).some(id => core.has(id)) && !defined(inst).every(id => fixed.ids.has(id)))
  const makers = new Map(late.flatMap(inst => defined(inst).map(id => [id, inst] as const)))
  const given = new Set<Id>([...fixed.ids, ...idsOf(slices)])

  /** Where a value is one part of a concatenation: a slice of that. */
  const slicesOf = new Map(insts.flatMap(partsOfConcat(avals)).map(slice => [slice.id, slice]))
  const inOne = (id: Id): boolean => needed.has(slicesOf.get(id)?.inputs[0] ?? -1)

  const needed = new Set<Id>(ys.filter(id => !given.has(id)))
  const moved = new Set<Inst>()
  /** The elements a step has to stack so that the value can be had behind the loop. */
  const price = (id: Id, seen: Map<Id, number>): number => {
    if (given.has(id) || needed.has(id) || inOne(id)) return 0
    const before = seen.get(id)
    if (before !== undefined) return before
    const maker = makers.get(id)
    const made = maker === undefined ? Infinity : [...new Set(used(maker))].reduce((n, input) => n + price(input, seen), 0)
    const least = Math.min(size(id), made)
    seen.set(id, least)
    return least
  }
  for (const inst of late.toReversed()) {
    const wanted = defined(inst).filter(id => needed.has(id))
    if (wanted.length === 0) continue
    const seen = new Map<Id, number>()
    const room = [...new Set(used(inst))].reduce((n, id) => n + price(id, seen), 0)
    if (room > (makesKernel(inst) ? worth : 1) * wanted.reduce((n, id) => n + size(id), 0)) continue
    moved.add(inst)
    for (const id of wanted) needed.delete(id)
    for (const id of used(inst)) if (!given.has(id) && !inOne(id)) needed.add(id)
  }
  if (moved.size === 0) return null

  const made = new Set([...moved].flatMap(defined))
  const stacked = [...needed].filter(id => !made.has(id))
  const ids = b.scan({ ...scan, body: dce({ params, insts, results: [...next, ...stacked] }) }, scan.origin)
  const stackedParams = stacked.map(id => ({ id, aval: avals.get(id) ?? { shape: [], dtype: 'f32' as const }, path: '' }))
  const isFixed = (inst: Inst): boolean => defined(inst).every(id => fixed.ids.has(id))
  const parts = [...slicesOf.values()].filter(({ id, inputs }) => !made.has(id) && !stacked.includes(id) && stacked.includes(at(inputs, 0)))
  const func = dce({ params: [...consts, ...slices, ...stackedParams], insts: [...parts, ...insts.filter(inst => moved.has(inst) || isFixed(inst))], results: ys })
  const flags = [...consts.map(() => false), ...slices.map(() => true), ...stacked.map(() => true)]
  const behind = b.inline(batch(func, flags, scan.length), [...scan.consts, ...scan.xs, ...ids.slice(next.length)])
  return [...ids.slice(0, next.length), ...behind]
}
