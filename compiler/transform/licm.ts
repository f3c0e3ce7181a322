/**
 * Loop-invariant code motion: what every step of a scan computes from constants alone moves in front of it. Operations
 * that only rename or repeat elements stay, they cost nothing where they are read.
 */
import { type Builder, builder, renaming, replay } from '../ir/build.ts'
import type { Func, Id, Inst, Scan } from '../ir/ir.ts'
import { at, defined, partsOf, used } from '../ir/view.ts'
import { cost } from './cost.ts'
import { rewrite } from './rewrite.ts'

export const licm = (func: Func): Func => rewrite(func, () => null, hoist)

const worthwhile = (inst: Inst): boolean => inst.kind === 'scan' || cost[inst.prim] !== 'free'

const hoist = (b: Builder, scan: Scan): readonly Id[] | null => {
  const { consts, carries, slices } = partsOf(scan)
  const invariant = new Set<Id>(consts.map(param => param.id))
  const moving = new Set<Inst>()
  for (const inst of scan.body.insts) {
    if (!used(inst).every(id => invariant.has(id))) continue
    for (const id of defined(inst)) invariant.add(id)
    if (worthwhile(inst)) moving.add(inst)
  }
  if (moving.size === 0) return null

  // in front of the loop: everything that is invariant (what of it is not read there is dead)
  const outer = new Map<Id, Id>(consts.map((param, i) => [param.id, at(scan.consts, i)]))
  const ahead = scan.body.insts.filter(inst => defined(inst).every(id => invariant.has(id)))
  replay(b, { params: [], insts: ahead, results: [] }, outer)
  const moved = [...moving].flatMap(defined)

  const body = builder()
  const names = new Map<Id, Id>()
  for (const param of consts) names.set(param.id, body.param(param.aval, param.path))
  for (const id of moved) names.set(id, body.param(b.aval(renaming(outer)(id))))
  for (const param of [...carries, ...slices]) names.set(param.id, body.param(param.aval, param.path))
  const results = replay(body, { ...scan.body, insts: scan.body.insts.filter(inst => !moving.has(inst)) }, names)
  return b.scan({ ...scan, consts: [...scan.consts, ...moved.map(renaming(outer))], body: body.finish(results) }, scan.origin)
}
