/**
 * Checks every invariant of a function: run after each pass, so that a broken pass is named where it broke.
 */
import { Refusal } from '../../dsl/errors.ts'
import type { Attrs, Aval, Prim } from '../../dsl/core/prim.ts'
import { scanAvals } from './build.ts'
import { inferred } from './inferred.ts'
import type { Func, Id, Inst } from './ir.ts'
import { at, defined, sameAval, showAval } from './view.ts'

/** Throws a Refusal of kind 'bug' that names `after` (the pass that made `func`) where an invariant does not hold. */
export const verify = (func: Func, after: string): void => {
  check(func, message => {
    throw new Refusal({ kind: 'bug', where: after, message })
  })
}

const check = (func: Func, fail: (message: string) => never): void => {
  const avals = new Map<Id, Aval>()
  const define = (id: Id, aval: Aval): void => {
    if (avals.has(id)) fail(`value %${id} is defined twice`)
    if (!aval.shape.every(size => Number.isInteger(size) && size >= 0)) fail(`value %${id} has the impossible type ${showAval(aval)}`)
    avals.set(id, aval)
  }
  const aval = (id: Id): Aval => avals.get(id) ?? fail(`value %${id} is used before it is defined`)

  func.params.forEach(param => define(param.id, param.aval))
  for (const inst of func.insts) {
    const expected = typesOf(inst, aval, fail)
    const stated = inst.kind === 'op' ? [inst.aval] : inst.avals
    const ids = defined(inst)
    if (ids.length !== stated.length || ids.length !== expected.length) {
      fail(`${name(inst)} has ${ids.length} results and ${stated.length} types, of ${expected.length}`)
    }
    ids.forEach((id, i) => {
      if (!sameAval(at(stated, i), at(expected, i))) {
        fail(`value %${id} of ${name(inst)} is marked ${showAval(at(stated, i))}, and is ${showAval(at(expected, i))}`)
      }
      define(id, at(stated, i))
    })
  }
  func.results.forEach((id, i) => {
    if (!avals.has(id)) fail(`result ${i}, %${id}, is not defined`)
  })
}

const name = (inst: Inst): string => (inst.kind === 'op' ? inst.prim : 'scan')

const typesOf = (inst: Inst, aval: (id: Id) => Aval, fail: (message: string) => never): readonly Aval[] => {
  if (inst.kind === 'scan') check(inst.body, message => fail(`in the body of a scan: ${message}`))
  const operands = inst.kind === 'op' ? inst.inputs : [...inst.consts, ...inst.init, ...inst.xs]
  operands.forEach(aval)
  try {
    return inst.kind === 'op' ? [inferred<Prim>(inst.prim, inst.inputs.map(aval), inst.attrs as Attrs[Prim])] : scanAvals(inst, aval)
  } catch (error) {
    if (error instanceof Refusal && error.failure.kind === 'shape') return fail(`%${defined(inst).join(', %')}: ${error.message}`)
    throw error
  }
}
