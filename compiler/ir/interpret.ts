/**
 * Runs a function on arrays in float64, one instruction after the other: the meaning against which passes are tested.
 */
import { evaluate } from '../../dsl/core/eager.ts'
import { Refusal } from '../../dsl/errors.ts'
import type { Attrs, Prim } from '../../dsl/core/prim.ts'
import type { Dense } from '../../dsl/core/dense.ts'
import type { Func, Id, Scan } from './ir.ts'
import { at, count, range, sameAval, showAval } from './view.ts'

/** The results of `func` for the given arguments. Refuses (kind 'bug') arguments that do not have the types of the parameters. */
export const interpret = (func: Func, args: readonly Dense[]): readonly Dense[] => {
  const values = new Map<Id, Dense>()
  const bug = (message: string): never => {
    throw new Refusal({ kind: 'bug', where: 'ir/interpret', message })
  }
  const value = (id: Id): Dense => values.get(id) ?? bug(`value %${id} is not defined`)
  if (args.length !== func.params.length) bug(`${args.length} arguments for ${func.params.length} parameters`)
  func.params.forEach((param, i) => {
    const arg = at(args, i)
    if (!sameAval(arg, param.aval)) bug(`argument ${i} (${param.path}) is ${showAval(arg)}, the parameter ${showAval(param.aval)}`)
    values.set(param.id, arg)
  })
  for (const inst of func.insts) {
    if (inst.kind === 'op') values.set(inst.id, evaluate<Prim>(inst.prim, inst.inputs.map(value), inst.attrs as Attrs[Prim]))
    else runScan(inst, value).forEach((result, i) => values.set(at(inst.ids, i), result))
  }
  return func.results.map(value)
}

const runScan = (scan: Scan, value: (id: Id) => Dense): readonly Dense[] => {
  const consts = scan.consts.map(value)
  const xs = scan.xs.map(value)
  const carried = scan.init.length
  const ys = scan.avals.slice(carried).map(({ shape, dtype }): Dense => evaluate('fill', [], { shape, dtype, value: 0 }))
  const carries = range(scan.length).reduce<readonly Dense[]>((carry, step) => {
    const t = scan.reverse ? scan.length - 1 - step : step
    const results = interpret(scan.body, [...consts, ...carry, ...xs.map(x => slab(x, t))])
    results.slice(carried).forEach((y, i) => at(ys, i).data.set(y.data, t * count(y.shape)))
    return results.slice(0, carried)
  }, scan.init.map(value))
  return [...carries, ...ys]
}

/** x[t] */
const slab = (x: Dense, t: number): Dense => {
  const shape = x.shape.slice(1)
  const n = count(shape)
  return { shape, dtype: x.dtype, data: x.data.slice(t * n, (t + 1) * n) }
}
