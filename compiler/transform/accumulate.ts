/**
 * Takes sums out of scans: a carry that only adds up a term of every step becomes one sum over the stacked terms. Where
 * the term is a contraction, its operands are stacked instead and the steps become one more label that is summed: the
 * gradient of a recurrent layer's weights is then one large matrix product after the loop, not a small one in each step.
 * What only moves elements on their way from the term to the carry is done once, to the sum.
 */
import { type Builder, builder, replay } from '../ir/build.ts'
import type { Func, Id, Op, Scan } from '../ir/ir.ts'
import { at, avalsOf, count, opsById, partsOf, range, used } from '../ir/view.ts'
import { rewrite } from './rewrite.ts'

export const accumulate = (func: Func): Func => rewrite(func, () => null, takeOut)

/** Stacking may take this many elements for each element of the carry and step. */
const worth = 4

/** Terms that are no contraction are stacked up to this many elements in all. */
const little = 65536

/** What to stack for the sum of a term over all steps, and that sum from a way to get the stacked values. */
type Part = { readonly stack: readonly Id[]; readonly total: (stacked: (id: Id) => Value) => Id }
/** A carry that adds up, or from which is taken away. */
type Sum = Part & { readonly carry: number; readonly by: 'add' | 'sub' }

/** A value of the body seen from outside: with a leading axis of steps, or the same in each. */
type Value = { readonly id: Id; readonly stepped: boolean }

/** Operations f with f(x) + f(y) = f(x + y) whose result is no smaller than what they are given. */
const isLinear = (op: Op): boolean =>
  ['reshape', 'transpose', 'flip', 'neg', 'sub', 'concat'].includes(op.prim) || (op.prim === 'pad' && op.attrs.value === 0)

const takeOut = (b: Builder, scan: Scan): readonly Id[] | null => {
  const { consts, carries, slices, next, ys } = partsOf(scan)
  const ops = opsById(scan.body)
  const reads = new Map<Id, number>()
  for (const id of [...scan.body.insts.flatMap(used), ...scan.body.results]) reads.set(id, (reads.get(id) ?? 0) + 1)
  const avals = avalsOf(scan.body)
  const size = (id: Id): number => count(avals.get(id)?.shape ?? [Infinity])
  const outerSlice = new Map(slices.map((param, i) => [param.id, at(scan.xs, i)]))
  const outerConst = new Map(consts.map((param, i) => [param.id, at(scan.consts, i)]))
  const isThere = (id: Id): boolean => outerSlice.has(id) || outerConst.has(id) || ys.includes(id)
  const room = (ids: readonly Id[]): number => [...new Set(ids)].filter(id => !isThere(id)).reduce((n, id) => n + size(id), 0)
  if (scan.length < 2) return null

  /** The summands of a sum that nothing else reads. */
  const terms = (id: Id): readonly Id[] => {
    const op = ops.get(id)
    return op?.prim === 'add' && reads.get(id) === 1 ? op.inputs.flatMap(terms) : [id]
  }
  /** How to sum a term over steps; null where that would stack too much. */
  const part = (term: Id): Part | null => {
    const op = ops.get(term)
    if (op !== undefined && op.inputs.length === 0) return { stack: [], total: () => sumSteps(b, { id: b.copy(op, []), stepped: false }, scan.length) }
    if (op !== undefined && reads.get(term) === 1) {
      const inner = isLinear(op) ? op.inputs.map(whole) : [null]
      const known = inner.filter(p => p !== null)
      if (known.length === inner.length) return { stack: known.flatMap(p => p.stack), total: stacked => b.copy(op, known.map(p => p.total(stacked))) }
      const sources = op.prim === 'contract' ? op.inputs : op.prim === 'sum' ? [at(op.inputs, 0)] : []
      if (sources.length > 0 && room(sources) <= worth * size(term)) return { stack: sources, total: stacked => totalOf(b, op, sources.map(stacked), scan.length) }
    }
    const fits = isThere(term) || size(term) * scan.length <= little
    return fits ? { stack: [term], total: stacked => sumSteps(b, stacked(term), scan.length) } : null
  }
  /** The same for a value that may be a sum itself. */
  const whole = (id: Id): Part | null => {
    const parts = terms(id).map(part)
    const known = parts.filter(p => p !== null)
    if (known.length < parts.length) return null
    return { stack: known.flatMap(p => p.stack), total: stacked => known.map(p => p.total(stacked)).reduce((x, y) => b.op('add', [x, y], {})) }
  }

  const sums = carries.flatMap((param, carry): readonly Sum[] => {
    const sum = ops.get(at(next, carry))
    // carry + term or carry - term, where nothing else reads either
    if (sum === undefined || (sum.prim !== 'add' && sum.prim !== 'sub') || reads.get(sum.id) !== 1 || reads.get(param.id) !== 1 || sum.aval.dtype !== 'f32') return []
    const term = sum.inputs[0] === param.id ? sum.inputs[1] : sum.inputs[1] === param.id && sum.prim === 'add' ? sum.inputs[0] : undefined
    if (term === undefined || term === param.id) return []
    const made = whole(term)
    return made === null ? [] : [{ carry, by: sum.prim, ...made }]
  })
  if (sums.length === 0) return null

  const gone = new Set(sums.map(s => s.carry))
  const stacked = [...new Set(sums.flatMap(s => s.stack))].filter(id => !isThere(id))
  const inner = builder()
  const names = new Map<Id, Id>()
  const enter = (params: Func['params']): void => params.forEach(p => names.set(p.id, inner.param(p.aval, p.path)))
  enter(consts)
  enter(carries.filter((_, i) => !gone.has(i)))
  enter(slices)
  const dead = new Set(sums.map(s => at(next, s.carry)))
  const insts = scan.body.insts.filter(inst => inst.kind === 'scan' || !dead.has(inst.id))
  const kept = [...next.filter((_, i) => !gone.has(i)), ...ys, ...stacked]
  const body = inner.finish(replay(inner, { ...scan.body, insts, results: kept }, names))
  const ids = b.scan({ ...scan, init: scan.init.filter((_, i) => !gone.has(i)), body }, scan.origin)

  const carriesLeft = carries.length - gone.size
  const value = (id: Id): Value => {
    const constant = outerConst.get(id)
    if (constant !== undefined) return { id: constant, stepped: false }
    const slice = outerSlice.get(id)
    if (slice !== undefined) return { id: slice, stepped: true }
    const y = ys.indexOf(id)
    return { id: at(ids, carriesLeft + (y >= 0 ? y : ys.length + stacked.indexOf(id))), stepped: true }
  }
  const totals = new Map(sums.map(s => [s.carry, b.op(s.by, [at(scan.init, s.carry), s.total(value)], {})]))
  const left = range(carries.length).filter(i => !gone.has(i))
  return [...range(carries.length).map(i => totals.get(i) ?? at(ids, left.indexOf(i))), ...ys.map((_, i) => at(ids, carriesLeft + i))]
}

const sumSteps = (b: Builder, x: Value, length: number): Id => {
  if (x.stepped) return b.op('sum', [x.id], { axes: [0] })
  return b.op('mul', [x.id, b.op('fill', [], { ...b.aval(x.id), value: length })], {})
}

/** The sum over steps of a contraction or sum, from its stacked operands. */
const totalOf = (b: Builder, op: Op, values: readonly Value[], length: number): Id => {
  if (op.prim === 'contract' && values.some(v => v.stepped)) {
    const { sizes, a, b: second, out } = op.attrs
    const label = range(Object.keys(sizes).length + 1).map(i => `t${i}`).find(name => !(name in sizes)) ?? 't'
    const [x, y] = [at(values, 0), at(values, 1)]
    return b.op('contract', [x.id, y.id], {
      sizes: { ...sizes, [label]: length },
      a: x.stepped ? [label, ...a] : a,
      b: y.stepped ? [label, ...second] : second,
      out,
    })
  }
  if (op.prim === 'sum' && at(values, 0).stepped) return b.op('sum', [at(values, 0).id], { axes: [0, ...op.attrs.axes.map(axis => axis + 1)] })
  return sumSteps(b, { id: b.copy(op, values.map(v => v.id)), stepped: false }, length)
}
