/**
 * Splits the joint function of one step of a scan - its own instructions, and behind them those of the cotangents - into
 * what the forward loop knows and what the backward loop does, and chooses the residuals: the known values that the
 * backward loop reads. A residual that is cheap to compute from others, or larger than what it is computed from, is
 * computed again instead of kept.
 */
import type { Func, Id, Inst, Op } from '../ir/ir.ts'
import { avalsOf, count, defined, used } from '../ir/view.ts'
import { cost } from './cost.ts'

export type Split = {
  /** Instructions that depend on no cotangent, in order. */
  readonly known: readonly Inst[]
  /** Instructions of the backward loop, in order: those that depend on a cotangent, and those computed again. */
  readonly back: readonly Inst[]
  /** Known values, other than constants, that `back` reads and does not define: parameters and results of `known`. */
  readonly residuals: readonly Id[]
  /** Of the known values, those that are the same in every step. */
  readonly invariant: ReadonlySet<Id>
}

/** The joint function's parameters are [...consts, ...varying (carries and slices), ...cotangents]; `outputs` are the results of the backward loop, `there` what is stacked anyway. */
export const split = (joint: Func, consts: number, varying: number, outputs: readonly Id[], there: ReadonlySet<Id>): Split => {
  const avals = avalsOf(joint)
  const size = (id: Id): number => count(avals.get(id)?.shape ?? [])
  const params = joint.params.map(p => p.id)
  const known = new Set<Id>(params.slice(0, consts + varying))
  const invariant = new Set<Id>(params.slice(0, consts))
  const knownInsts: Inst[] = []
  const later = new Set<Inst>()
  const ops = new Map<Id, Op>()
  for (const inst of joint.insts) {
    if (!used(inst).every(id => known.has(id))) {
      later.add(inst)
      continue
    }
    knownInsts.push(inst)
    if (inst.kind === 'op') ops.set(inst.id, inst)
    const isInvariant = used(inst).every(id => invariant.has(id))
    for (const id of defined(inst)) {
      known.add(id)
      if (isInvariant) invariant.add(id)
    }
  }

  const needed = new Set<Id>([...[...later].flatMap(used), ...outputs].filter(id => known.has(id)))
  const again = new Set<Id>()
  const isFree = (id: Id): boolean => needed.has(id) || there.has(id) || invariant.has(id) || again.has(id) || isConstant(ops.get(id))

  /** The elements to keep besides, so that the value can be had in the backward loop. */
  const price = (id: Id, seen: Set<Id>): number => {
    if (seen.has(id) || isFree(id)) return 0
    seen.add(id)
    const op = ops.get(id)
    const made = op === undefined || cost[op.prim] === 'dear' ? Infinity : op.inputs.reduce((n, input) => n + price(input, seen), 0)
    return Math.min(size(id), made)
  }

  // later values first, so that what is computed again asks for its operands before these are looked at
  const sweep = (): boolean => {
    const before = again.size
    for (const inst of knownInsts.toReversed()) {
      if (inst.kind !== 'op' || !needed.has(inst.id) || again.has(inst.id)) continue
      if (cost[inst.prim] === 'dear') continue
      const seen = new Set<Id>()
      const room = inst.inputs.reduce((n, id) => n + price(id, seen), 0)
      if (room > 0 && room >= size(inst.id)) continue
      needed.delete(inst.id)
      again.add(inst.id)
      for (const id of inst.inputs) if (!again.has(id)) needed.add(id)
    }
    return again.size > before
  }
  while (sweep());

  const back = joint.insts.filter(inst => later.has(inst) || defined(inst).some(id => again.has(id)))
  const order = [...params.slice(0, consts + varying), ...knownInsts.flatMap(defined)]
  return { known: knownInsts, back, residuals: order.filter(id => needed.has(id)), invariant }
}

/** An op without operands. */
const isConstant = (op: Op | undefined): boolean => op !== undefined && op.inputs.length === 0
