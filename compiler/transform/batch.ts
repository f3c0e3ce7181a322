/**
 * vmap on the IR. A mapped value carries its batch on axis 0, always; a value that depends on no mapped parameter stays
 * as it is until an operation needs it repeated. One rule per primitive.
 */
import type { Attrs, Prim } from '../../dsl/core/prim.ts'
import { Refusal } from '../../dsl/errors.ts'
import { type Builder, builder } from '../ir/build.ts'
import type { Func, Id, Scan } from '../ir/ir.ts'
import { at, partsOf, range, sameList } from '../ir/view.ts'

/** A value, and whether it has the batch axis. */
type Value = { readonly id: Id; readonly mapped: boolean }

/** Emits the batched operation, for operands of which at least one is mapped. Returns the mapped result. */
type Rule<P extends Prim> = (b: Builder, inputs: readonly Value[], attrs: Attrs[P], size: number) => Id

/**
 * The batched version of a function: parameters with `mapped` get a new leading axis of `size`, and so do all results
 * (a result that does not depend on a mapped parameter repeats). A batch of one is the function itself: no operation in it
 * sees the axis.
 */
export const batch = (func: Func, mapped: readonly boolean[], size: number): Func =>
  size === 1 ? single(func, mapped) : batched(func, mapped, size, func.results.map(() => true)).func

const single = (func: Func, mapped: readonly boolean[]): Func => {
  checkFlags(func, mapped)
  const b = builder()
  const args = func.params.map(({ aval, path }, i) => {
    const { shape, dtype } = aval
    return at(mapped, i) ? b.op('reshape', [b.param({ shape: [1, ...shape], dtype }, path)], { shape }) : b.param(aval, path)
  })
  return b.finish(b.inline(func, args).map(id => b.op('reshape', [id], { shape: [1, ...b.aval(id).shape] })))
}

const checkFlags = (func: Func, mapped: readonly boolean[]): void => {
  if (mapped.length === func.params.length) return
  throw new Refusal({ kind: 'bug', where: 'transform/batch', message: `${mapped.length} flags for ${func.params.length} parameters` })
}

type Batched = { readonly func: Func; readonly results: readonly boolean[] }

/** As `batch`, where a result gets the axis if it is in `wanted` or depends on a mapped parameter: `results` tells. */
const batched = (func: Func, mapped: readonly boolean[], size: number, wanted: readonly boolean[]): Batched => {
  checkFlags(func, mapped)
  const b = builder()
  const values = new Map<Id, Value>()
  const value = (id: Id): Value => {
    const found = values.get(id)
    if (found === undefined) throw new Refusal({ kind: 'bug', where: 'transform/batch', message: `value %${id} is used before it is defined` })
    return found
  }
  func.params.forEach(({ id, aval, path }, i) => {
    const isMapped = at(mapped, i)
    values.set(id, { id: b.param(isMapped ? { shape: [size, ...aval.shape], dtype: aval.dtype } : aval, path), mapped: isMapped })
  })
  for (const inst of func.insts) {
    if (inst.kind === 'scan') {
      b.within(inst.origin, () => batchScan(b, inst, value, size)).forEach((result, i) => values.set(at(inst.ids, i), result))
      continue
    }
    const inputs = inst.inputs.map(value)
    const rule = rules[inst.prim] as Rule<Prim> // the table pairs a primitive with its attributes; the union cannot see it
    values.set(
      inst.id,
      inputs.some(x => x.mapped)
        ? { id: b.within(inst.origin, () => rule(b, inputs, inst.attrs, size)), mapped: true }
        : { id: b.copy(inst, inputs.map(x => x.id)), mapped: false },
    )
  }
  const results = func.results.map((id, i) => (at(wanted, i) ? { id: repeat(b, value(id), size), mapped: true } : value(id)))
  return { func: b.finish(results.map(r => r.id)), results: results.map(r => r.mapped) }
}

/** The value with the batch axis: repeated where it has none. */
const repeat = (b: Builder, x: Value, size: number): Id => {
  if (x.mapped) return x.id
  const { shape } = b.aval(x.id)
  return b.op('broadcast', [x.id], { shape: [size, ...shape], axes: range(shape.length).map(i => i + 1) })
}

const shifted = (axes: readonly number[]): readonly number[] => axes.map(axis => axis + 1)

/** The operation itself, on repeated operands. */
const asIs =
  <P extends Prim>(prim: P): Rule<P> =>
  (b, inputs, attrs, size) =>
    b.op(prim, inputs.map(x => repeat(b, x, size)), attrs)

/** A primitive without operands is never mapped. */
const never = (): never => {
  throw new Refusal({ kind: 'bug', where: 'transform/batch', message: 'a constant cannot be mapped' })
}

const reduction =
  <P extends 'sum' | 'max' | 'min'>(prim: P): Rule<P> =>
  (b, inputs, { axes }) =>
    b.op<'sum' | 'max' | 'min'>(prim, [at(inputs, 0).id], { axes: shifted(axes) })

const gather: Rule<'gather'> = (b, inputs, { axis, batch: leading }, size) => {
  const x = at(inputs, 0)
  const indices = at(inputs, 1)
  // x alone is mapped, and no leading axes have to agree: one more axis in front of x
  if (x.mapped && !indices.mapped && leading === 0) return b.op('gather', [x.id, indices.id], { axis: axis + 1, batch: 0 })
  if (!x.mapped && indices.mapped && leading === 0) {
    // x[:axis] + [size, ...indices] + x[axis+1:], with the batch moved to the front
    const out = b.op('gather', [x.id, indices.id], { axis, batch: 0 })
    const rest = range(b.aval(out).shape.length).filter(i => i !== axis)
    return b.op('transpose', [out], { perm: [axis, ...rest] })
  }
  return b.op('gather', [repeat(b, x, size), repeat(b, indices, size)], { axis: axis + 1, batch: leading + 1 })
}

/** A label that the contraction does not use yet. */
const freshLabel = (sizes: Readonly<Record<string, number>>): string => {
  const name = range(Object.keys(sizes).length + 1).map(i => (i === 0 ? 'n' : `n${i}`)).find(label => !(label in sizes))
  return name ?? never()
}

const contract: Rule<'contract'> = (b, inputs, { sizes, a, b: second, out }, size) => {
  const label = freshLabel(sizes)
  const x = at(inputs, 0)
  const y = at(inputs, 1)
  return b.op('contract', [x.id, y.id], {
    sizes: { ...sizes, [label]: size },
    a: x.mapped ? [label, ...a] : a,
    b: y.mapped ? [label, ...second] : second,
    out: [label, ...out],
  })
}

const rules: { readonly [P in Prim]: Rule<P> } = {
  fill: never,
  literal: never,
  iota: never,
  randomBits: asIs('randomBits'),
  neg: asIs('neg'),
  abs: asIs('abs'),
  sign: asIs('sign'),
  floor: asIs('floor'),
  exp: asIs('exp'),
  log: asIs('log'),
  log1p: asIs('log1p'),
  expm1: asIs('expm1'),
  sqrt: asIs('sqrt'),
  rsqrt: asIs('rsqrt'),
  sin: asIs('sin'),
  cos: asIs('cos'),
  tanh: asIs('tanh'),
  sigmoid: asIs('sigmoid'),
  softplus: asIs('softplus'),
  pow: asIs('pow'),
  not: asIs('not'),
  cast: asIs('cast'),
  stopGradient: asIs('stopGradient'),
  add: asIs('add'),
  sub: asIs('sub'),
  mul: asIs('mul'),
  div: asIs('div'),
  maximum: asIs('maximum'),
  minimum: asIs('minimum'),
  and: asIs('and'),
  or: asIs('or'),
  xor: asIs('xor'),
  shl: asIs('shl'),
  shr: asIs('shr'),
  eq: asIs('eq'),
  ne: asIs('ne'),
  lt: asIs('lt'),
  le: asIs('le'),
  gt: asIs('gt'),
  ge: asIs('ge'),
  select: asIs('select'),
  reshape: (b, [x], { shape }, size) => b.op('reshape', [(x ?? never()).id], { shape: [size, ...shape] }),
  transpose: (b, [x], { perm }) => b.op('transpose', [(x ?? never()).id], { perm: [0, ...shifted(perm)] }),
  broadcast: (b, [x], { shape, axes }, size) => b.op('broadcast', [(x ?? never()).id], { shape: [size, ...shape], axes: [0, ...shifted(axes)] }),
  concat: (b, inputs, { axis }, size) => b.op('concat', inputs.map(x => repeat(b, x, size)), { axis: axis + 1 }),
  slice: (b, [x], { start, limit, step }, size) =>
    b.op('slice', [(x ?? never()).id], { start: [0, ...start], limit: [size, ...limit], step: [1, ...step] }),
  pad: (b, [x], { low, high, interior, value }) =>
    b.op('pad', [(x ?? never()).id], { low: [0, ...low], high: [0, ...high], interior: [0, ...interior], value }),
  flip: (b, [x], { axes }) => b.op('flip', [(x ?? never()).id], { axes: shifted(axes) }),
  gather,
  sum: reduction('sum'),
  max: reduction('max'),
  min: reduction('min'),
  contract,
}

/** [size, length, ...] to [length, size, ...] and back. */
const swap = (b: Builder, id: Id): Id => {
  const rank = b.aval(id).shape.length
  return b.op('transpose', [id], { perm: [1, 0, ...range(rank).slice(2)] })
}

/** A carry is mapped if it starts mapped or becomes so in some step: the least set that is closed under the body. */
const batchScan = (b: Builder, scan: Scan, value: (id: Id) => Value, size: number): readonly Value[] => {
  const consts = scan.consts.map(value)
  const init = scan.init.map(value)
  const xs = scan.xs.map(value)
  const flags = (values: readonly Value[]): readonly boolean[] => values.map(x => x.mapped)
  const { ys } = partsOf(scan)

  const close = (carried: readonly boolean[]): { readonly carried: readonly boolean[]; readonly body: Batched } => {
    const body = batched(scan.body, [...flags(consts), ...carried, ...flags(xs)], size, [...carried, ...ys.map(() => false)])
    const next = body.results.slice(0, carried.length)
    return sameList(next, carried) ? { carried, body } : close(next)
  }
  const { carried, body } = close(flags(init))

  const ids = b.scan({
    length: scan.length,
    reverse: scan.reverse,
    consts: consts.map(x => x.id),
    init: init.map((x, i) => (at(carried, i) ? repeat(b, x, size) : x.id)),
    xs: xs.map(x => (x.mapped ? swap(b, x.id) : x.id)),
    body: body.func,
  })
  return ids.map((id, i) => {
    const isMapped = at(body.results, i)
    return { id: isMapped && i >= carried.length ? swap(b, id) : id, mapped: isMapped }
  })
}
