/**
 * Reverse-mode differentiation on the IR. The forward instructions are copied, then walked backwards; the rules of
 * dsl/core/vjp.ts emit the cotangents. A cotangent that is zero throughout is never emitted (it stays null), and only
 * what lies between the parameters asked for and the results is walked. `vjpScan.ts` holds the rule of scan.
 */
import { vjp as rule } from '../../dsl/core/vjp.ts'
import type { Aval, Prim } from '../../dsl/core/prim.ts'
import { Refusal } from '../../dsl/errors.ts'
import { type Builder, builder, renaming, replay } from '../ir/build.ts'
import type { Func, Id } from '../ir/ir.ts'
import { at, range, showAval, used } from '../ir/view.ts'
import { activity } from './activity.ts'
import { dce } from './dce.ts'
import { siblings } from './siblings.ts'
import { reverseScan } from './vjpScan.ts'

/** A cotangent; null is zero. */
export type Cotangent = Id | null

/**
 * Parameters as `func`; results [...results of func, ...gradients of result 0 - an f32 scalar - by the parameters `wrt`].
 * The other results are auxiliary. Refuses (kind 'shape') a result 0 that is not an f32 scalar and parameters that are not f32.
 */
export const valueAndGrad = (func: Func, wrt: readonly number[]): Func => {
  const b = builder()
  const args = func.params.map(p => b.param(p.aval, p.path))
  const { results, backward } = forward(b, siblings(func), args, flagsOf(func, wrt))
  const loss = b.aval(at(results, 0))
  if (loss.dtype !== 'f32' || loss.shape.length !== 0) {
    throw new Refusal({ kind: 'shape', operation: 'grad', message: `the loss must be an f32 scalar, and is ${showAval(loss)}` })
  }
  const seed = b.op('fill', [], { ...loss, value: 1 })
  const cotangents = backward(results.map((_, i) => (i === 0 ? seed : null)))
  return dce(b.finish([...results, ...wrt.map(i => orZero(b, at(cotangents, i), at(func.params, i).aval))]))
}

/**
 * Parameters [...parameters of func, ...a cotangent per f32 result]; results [...results of func, ...cotangents of the
 * parameters `wrt`]. Results of other types have no cotangent.
 */
export const vjp = (func: Func, wrt: readonly number[]): Func => {
  const b = builder()
  const args = func.params.map(p => b.param(p.aval, p.path))
  const { results, backward } = forward(b, siblings(func), args, flagsOf(func, wrt))
  const given = results.map((id, i) => (b.aval(id).dtype === 'f32' ? b.param(b.aval(id), `cotangent.${i}`) : null))
  const cotangents = backward(given)
  return dce(b.finish([...results, ...wrt.map(i => orZero(b, at(cotangents, i), at(func.params, i).aval))]))
}

const flagsOf = (func: Func, wrt: readonly number[]): readonly boolean[] => {
  for (const i of wrt) {
    const { aval, path } = at(func.params, i)
    if (aval.dtype === 'f32') continue
    const name = path === '' ? `argument ${i}` : path
    throw new Refusal({ kind: 'shape', operation: 'grad', message: `cannot differentiate by ${name}, ${showAval(aval)}: only f32` })
  }
  return range(func.params.length).map(i => wrt.includes(i))
}

/** The cotangent as a value. */
export const orZero = (b: Builder, cotangent: Cotangent, aval: Aval): Id => cotangent ?? b.op('fill', [], { shape: aval.shape, dtype: aval.dtype, value: 0 })

/** Copies `func` into `b`; `backward` takes the cotangents of its results to those of its parameters (null where inactive or zero), emitting into `b`. */
export const forward = (
  b: Builder,
  func: Func,
  args: readonly Id[],
  activeParams: readonly boolean[],
): { readonly results: readonly Id[]; readonly backward: (cotangents: readonly Cotangent[]) => readonly Cotangent[] } => {
  const names = new Map<Id, Id>(func.params.map((param, i) => [param.id, at(args, i)]))
  const results = replay(b, func, names)
  const to = renaming(names)
  const active = activity(func, activeParams)

  const backward = (seeds: readonly Cotangent[]): readonly Cotangent[] => {
    const cotangents = new Map<Id, Id>() // by the ids of `func`
    const add = (id: Id, cotangent: Cotangent): void => {
      if (cotangent === null || !active.has(id)) return
      const before = cotangents.get(id)
      cotangents.set(id, before === undefined ? cotangent : b.op('add', [before, cotangent], {}))
    }
    func.results.forEach((id, i) => add(id, at(seeds, i)))
    for (const inst of func.insts.toReversed()) {
      b.within(inst.origin, () => {
        if (inst.kind === 'op') {
          const cotangent = cotangents.get(inst.id)
          if (cotangent === undefined) return
          const given = rule<Id, Prim>(b, inst.prim, inst.inputs.map(to), to(inst.id), inst.attrs, cotangent, inst.inputs.map(id => active.has(id)))
          inst.inputs.forEach((id, i) => add(id, given[i] ?? null))
        } else {
          const given = inst.ids.map(id => cotangents.get(id) ?? null)
          if (given.every(c => c === null)) return
          const back = reverseScan(b, { ...inst, consts: inst.consts.map(to), init: inst.init.map(to), xs: inst.xs.map(to), ids: inst.ids.map(to) }, {
            active: used(inst).map(id => active.has(id)),
            cotangents: given,
          })
          used(inst).forEach((id, i) => add(id, back[i] ?? null))
        }
      })
    }
    return func.params.map(param => cotangents.get(param.id) ?? null)
  }
  return { results, backward }
}
