/**
 * Which values of a function can carry a gradient: f32 values that depend on an active parameter by more than `stopGradient`.
 */
import type { Aval } from '../../dsl/core/prim.ts'
import type { Func, Id, Scan } from '../ir/ir.ts'
import { at, sameList, used } from '../ir/view.ts'

const real = (aval: Aval): boolean => aval.dtype === 'f32'

/** The active values of `func`, given the activity of each parameter. */
export const activity = (func: Func, params: readonly boolean[]): ReadonlySet<Id> => {
  const active = new Set<Id>()
  const mark = (id: Id, aval: Aval, is: boolean): void => {
    if (is && real(aval)) active.add(id)
  }
  func.params.forEach((param, i) => mark(param.id, param.aval, at(params, i)))
  for (const inst of func.insts) {
    if (inst.kind === 'op') mark(inst.id, inst.aval, inst.prim !== 'stopGradient' && inst.inputs.some(id => active.has(id)))
    else {
      const { results } = scanActivity(inst, used(inst).map(id => active.has(id)))
      inst.ids.forEach((id, i) => mark(id, at(inst.avals, i), at(results, i)))
    }
  }
  return active
}

/** The activity of a scan, given that of its inputs [...consts, ...init, ...xs]: of each parameter of its body in the steady state, and of each result. */
export const scanActivity = (scan: Scan, inputs: readonly boolean[]): { readonly params: readonly boolean[]; readonly results: readonly boolean[] } => {
  const from = scan.consts.length
  const to = from + scan.init.length
  const close = (carried: readonly boolean[]): { readonly params: readonly boolean[]; readonly results: readonly boolean[] } => {
    const params = [...inputs.slice(0, from), ...carried, ...inputs.slice(to)]
    const inside = activity(scan.body, params)
    const results = scan.body.results.map(id => inside.has(id))
    const next = carried.map((was, i) => was || at(results, i))
    return sameList(next, carried) ? { params, results: [...next, ...results.slice(carried.length)] } : close(next)
  }
  return close(inputs.slice(from, to))
}
