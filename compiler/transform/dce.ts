/**
 * Dead code elimination: instructions whose values nobody reads, and the carries, ys, consts and xs of a scan that
 * nothing needs. Parameters and results of the function stay.
 */
import type { Func, Id, Inst, Scan } from '../ir/ir.ts'
import { at, partsOf, range, sameList, used } from '../ir/view.ts'

export const dce = (func: Func): Func => {
  const live = new Set<Id>(func.results)
  const insts: Inst[] = []
  for (const inst of func.insts.toReversed()) {
    const kept = inst.kind === 'op' ? (live.has(inst.id) ? inst : null) : shrink(inst, live)
    if (kept === null) continue
    for (const id of used(kept)) live.add(id)
    insts.push(kept)
  }
  return { ...func, insts: insts.toReversed() }
}

/** What of a function its given results need: the parameters, by position. */
const needs = (func: Func): readonly boolean[] => {
  const live = new Set<Id>(func.results)
  for (const inst of dce(func).insts) for (const id of used(inst)) live.add(id)
  return func.params.map(param => live.has(param.id))
}

/** The scan without what is dead; null where all of it is. */
const shrink = (scan: Scan, live: ReadonlySet<Id>): Scan | null => {
  const carried = scan.init.length
  const isLive = scan.ids.map(id => live.has(id))
  if (!isLive.some(x => x)) return null
  const ys = range(scan.ids.length).slice(carried).filter(i => at(isLive, i))
  const { results } = scan.body

  // a carry stays if its last value is read, or if a carry or y that stays needs it
  const close = (carries: readonly boolean[]): readonly boolean[] => {
    const kept = [...range(carried).filter(i => at(carries, i)), ...ys]
    const needed = needs({ ...scan.body, results: kept.map(i => at(results, i)) })
    const next = carries.map((was, i) => was || at(needed, scan.consts.length + i))
    return sameList(next, carries) ? carries : close(next)
  }
  const carries = close(isLive.slice(0, carried))

  const body = dce({ ...scan.body, results: results.filter((_, i) => (i < carried ? at(carries, i) : at(isLive, i))) })
  const needed = needs(body)
  const { consts, slices } = partsOf(scan)
  const constIsNeeded = range(consts.length).map(i => at(needed, i))
  const sliceIsNeeded = range(slices.length).map(i => at(needed, consts.length + carried + i))
  const keepParam = [...constIsNeeded, ...carries, ...sliceIsNeeded]
  const keepId = (i: number): boolean => (i < carried ? at(carries, i) : at(isLive, i))
  return {
    ...scan,
    consts: scan.consts.filter((_, i) => at(constIsNeeded, i)),
    init: scan.init.filter((_, i) => at(carries, i)),
    xs: scan.xs.filter((_, i) => at(sliceIsNeeded, i)),
    body: { ...body, params: body.params.filter((_, i) => at(keepParam, i)) },
    ids: scan.ids.filter((_, i) => keepId(i)),
    avals: scan.avals.filter((_, i) => keepId(i)),
  }
}
