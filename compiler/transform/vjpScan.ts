/**
 * The reverse rule of scan. One step's instructions and those of its cotangents form a joint function (`joint`), which
 * `residuals.ts` splits: the forward scan stacks the residuals as further ys, and a scan in the other direction carries
 * the cotangents of the carries, and sums those of the constants.
 */
import type { Aval } from '../../dsl/core/prim.ts'
import { Refusal } from '../../dsl/errors.ts'
import { type Builder, builder, renaming, replay } from '../ir/build.ts'
import type { Func, Id, Scan } from '../ir/ir.ts'
import { at, avalsOf, defined, partsOf, range, sameList, used } from '../ir/view.ts'
import { scanActivity } from './activity.ts'
import { dce } from './dce.ts'
import { split } from './residuals.ts'
import { type Cotangent, forward, orZero } from './vjp.ts'

export type Ask = {
  /** Which inputs [...consts, ...init, ...xs] a gradient is asked for. */
  readonly active: readonly boolean[]
  /** The cotangents of the scan's results. */
  readonly cotangents: readonly Cotangent[]
}

/** The cotangents of [...consts, ...init, ...xs]; `scan` is an instruction of `b`, whose body gets further ys. */
export const reverseScan = (b: Builder, scan: Scan, ask: Ask): readonly Cotangent[] => {
  const step = joint(scan, ask)
  const { consts, init, xs } = scan
  const carriesAt = consts.length
  const primal = step.func.results.slice(0, scan.body.results.length)
  const there = new Set([...step.func.params.slice(carriesAt + init.length, carriesAt + init.length + xs.length).map(p => p.id), ...primal.slice(init.length)])
  const { known, back, residuals, invariant } = split(step.func, carriesAt, init.length + xs.length, step.outputs, there)
  const avals = avalsOf(step.func)
  const typeOf = (id: Id): Aval => avals.get(id) ?? bug(`the joint function has no value %${id}`)
  const bodyParams = step.func.params.slice(0, carriesAt + init.length + xs.length)
  const position = new Map(bodyParams.map((param, i) => [param.id, i]))

  // where each residual comes from: computed before the loop, a slice that the scan had already, a y it had already, a further y
  const outside = hoister(b, known, new Map(consts.map((id, i) => [at(bodyParams, i).id, id])))
  const isSlice = (id: Id): boolean => (position.get(id) ?? -1) >= carriesAt + init.length
  const yAt = (id: Id): number => primal.indexOf(id, init.length)
  const stacked = residuals.filter(id => !invariant.has(id) && !isSlice(id) && yAt(id) < 0)
  const further = stacked.length === 0 ? [] : b.extend(scan.ids, dce({ params: bodyParams, insts: known, results: [...primal, ...stacked] }))
  const sequence = (id: Id): Id => {
    if (isSlice(id)) return at(xs, (position.get(id) ?? 0) - carriesAt - init.length)
    return yAt(id) >= 0 ? at(scan.ids, yAt(id)) : at(further, stacked.indexOf(id))
  }
  const fixed = residuals.filter(id => invariant.has(id))
  const varying = residuals.filter(id => !invariant.has(id))

  // the body of the reverse scan: constants, cotangents of carries, sums for constants, then residuals and cotangents of ys
  const r = builder()
  const names = new Map<Id, Id>()
  const param = (id: Id): void => {
    names.set(id, r.param(typeOf(id)))
  }
  fixed.forEach(param)
  step.carryCotangents.forEach(({ param: id }) => param(id))
  const sums = step.constGradients.map(({ gradient }) => r.param(typeOf(gradient)))
  varying.forEach(param)
  step.yCotangents.forEach(({ param: id }) => param(id))
  replay(r, { params: [], insts: back, results: [] }, names)
  const to = renaming(names)
  const body = r.finish([
    ...step.carryCotangents.map(({ next }) => to(next)),
    ...step.constGradients.map(({ gradient }, i) => r.op('add', [at(sums, i), to(gradient)], {})),
    ...step.sliceGradients.map(({ gradient }) => to(gradient)),
  ])

  const results = b.scan({
    length: scan.length,
    reverse: !scan.reverse,
    consts: fixed.map(outside),
    init: [
      ...step.carryCotangents.map(({ carry }) => orZero(b, at(ask.cotangents, carry), b.aval(at(init, carry)))),
      ...step.constGradients.map(({ index }) => orZero(b, null, b.aval(at(consts, index)))),
    ],
    xs: [...varying.map(sequence), ...step.yCotangents.map(({ cotangent }) => cotangent)],
    body,
  })

  const cotangents: Cotangent[] = used(scan).map(() => null)
  step.carryCotangents.forEach(({ carry }, i) => (cotangents[carriesAt + carry] = at(results, i)))
  step.constGradients.forEach(({ index }, i) => (cotangents[index] = at(results, step.carryCotangents.length + i)))
  const from = step.carryCotangents.length + step.constGradients.length
  step.sliceGradients.forEach(({ index }, i) => (cotangents[carriesAt + init.length + index] = at(results, from + i)))
  return cotangents
}

const bug = (message: string): never => {
  throw new Refusal({ kind: 'bug', where: 'transform/vjpScan', message })
}

type Joint = {
  /** (body parameters, cotangents of carries, cotangents of ys) -> [...results of the body, ...outputs] */
  readonly func: Func
  readonly outputs: readonly Id[]
  readonly carryCotangents: readonly { readonly carry: number; readonly param: Id; readonly next: Id }[]
  /** `cotangent` is the stacked one, outside. */
  readonly yCotangents: readonly { readonly cotangent: Id; readonly param: Id }[]
  readonly constGradients: readonly { readonly index: number; readonly gradient: Id }[]
  readonly sliceGradients: readonly { readonly index: number; readonly gradient: Id }[]
}

/** One step forward and back. A carry has a cotangent if its last value has one or a step gives it one: the least such set. */
const joint = (scan: Scan, ask: Ask): Joint => {
  const { params: active } = scanActivity(scan, ask.active)
  const { consts, carries, slices } = partsOf(scan)
  const carried = carries.length
  const isActiveCarry = (i: number): boolean => at(active, consts.length + i)

  const close = (flags: readonly boolean[]): Joint => {
    const b = builder()
    const args = scan.body.params.map(param => b.param(param.aval, param.path))
    const carryParams = carries.map((param, i) => (at(flags, i) ? b.param(param.aval) : null))
    const yParams = scan.ids.map((_, i) => {
      const { shape, dtype } = at(scan.avals, i)
      return i >= carried && at(ask.cotangents, i) !== null ? b.param({ shape: shape.slice(1), dtype }) : null
    })
    const { results, backward } = forward(b, scan.body, args, active)
    const given = backward([...carryParams, ...yParams.slice(carried)])
    const back = given.slice(consts.length, consts.length + carried)
    const next = flags.map((was, i) => was || (at(back, i) !== null && isActiveCarry(i)))
    if (!sameList(next, flags)) return close(next)

    const carryCotangents = carryParams.flatMap((param, carry) =>
      param === null ? [] : [{ carry, param, next: orZero(b, at(back, carry), at(carries, carry).aval) }],
    )
    const gradients = (from: number, n: number) =>
      range(n).flatMap(index => {
        const gradient = at(given, from + index)
        return gradient === null ? [] : [{ index, gradient }]
      })
    const constGradients = gradients(0, consts.length)
    const sliceGradients = gradients(consts.length + carried, slices.length)
    const outputs = [...carryCotangents.map(c => c.next), ...constGradients.map(c => c.gradient), ...sliceGradients.map(c => c.gradient)]
    return {
      func: dce(b.finish([...results, ...outputs])),
      outputs,
      carryCotangents,
      yCotangents: yParams.flatMap((param, y) => {
        const cotangent = at(ask.cotangents, y)
        return param === null || cotangent === null ? [] : [{ cotangent, param }]
      }),
      constGradients,
      sliceGradients,
    }
  }
  return close(range(carried).map(i => isActiveCarry(i) && at(ask.cotangents, i) !== null))
}

/** Copies what a value of the body that is the same in every step depends on in front of the loop, once. */
const hoister = (b: Builder, insts: Func['insts'], names: Map<Id, Id>): ((id: Id) => Id) => {
  const by = new Map(insts.flatMap(inst => defined(inst).map(id => [id, inst] as const)))
  const hoist = (id: Id): Id => {
    const inst = by.get(id)
    if (!names.has(id) && inst !== undefined) {
      used(inst).forEach(hoist)
      replay(b, { params: [], insts: [inst], results: [] }, names)
    }
    return renaming(names)(id)
  }
  return hoist
}
