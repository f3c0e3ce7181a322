/** What a call of a program costs on a device with separate buffers, in counts that hold on every machine: dispatches, bytes moved, memory. */
import type { GpuStep } from '../../runtime/gpu-program.ts'
import type { Aval } from '../../dsl/core/prim.ts'
import { roles } from '../fuse/decide.ts'
import type { Func, Id, Inst } from '../ir/ir.ts'
import { bytesFor } from '../schedule/gpu/slots.ts'
import type { Compiled } from '../targets/wgsl/program.ts'

/** Of one call. `moved`: every kernel reads each element that it needs once, and writes each of its own once; a copy does both. */
export type Counts = { readonly dispatches: number; readonly copies: number; readonly moved: number; readonly bytes: number; readonly buffers: number }

const sum = (ns: readonly number[]): number => ns.reduce((a, b) => a + b, 0)
const bytesOf = ({ shape }: Aval): number => 4 * shape.reduce((n, d) => n * d, 1)

const stepCounts = (steps: readonly GpuStep[]): Omit<Counts, 'bytes' | 'buffers'> => {
  const all = steps.map(step => {
    switch (step.kind) {
      case 'kernel':
        return { dispatches: step.choices[0]?.length ?? 0, copies: 0, moved: step.bytes }
      case 'copy':
        return { dispatches: 0, copies: 1, moved: 2 * step.bytes }
      case 'loop': {
        const { dispatches, copies, moved } = stepCounts(step.steps)
        return { dispatches: step.size * dispatches, copies: step.size * copies, moved: step.size * moved }
      }
    }
  })
  return { dispatches: sum(all.map(a => a.dispatches)), copies: sum(all.map(a => a.copies)), moved: sum(all.map(a => a.moved)) }
}

/** `least`: the bytes of every input and output once. `live`: the most bytes that are of use at one time. */
export const countsOf = ({ program, plan, slots }: Compiled): Counts & { readonly least: number; readonly live: number; readonly shaders: number } => ({
  ...stepCounts(program.steps),
  bytes: slots.bytes, buffers: slots.slots.length, live: slots.live, shaders: program.shaders.length,
  least: sum(plan.buffers.filter(b => b.role.kind === 'input' || b.role.kind === 'output').map(bytesFor)),
})

/** Whether an instruction is no work of its own: another view of its operand, or a number. */
const free = (inst: Inst): boolean => inst.kind === 'op' && ['view', 'leaf'].includes(roles[inst.prim])
const idsOf = (inst: Inst): readonly Id[] => (inst.kind === 'op' ? [inst.id] : inst.ids)
const readsOf = (inst: Inst): readonly Id[] => (inst.kind === 'op' ? inst.inputs : [...inst.consts, ...inst.init, ...inst.xs])

/** The same if every operation were a dispatch that writes an array of its own, which lives until it is read for the last time. */
export const unfused = (func: Func): Counts => {
  const avals = new Map<Id, Aval>(func.params.map(p => [p.id, p.aval]))
  for (const inst of func.insts) idsOf(inst).forEach((id, i) => avals.set(id, inst.kind === 'op' ? inst.aval : inst.avals[i]!))
  const size = (ids: readonly Id[]): number => sum(ids.map(id => bytesOf(avals.get(id)!)))
  const last = new Map<Id, number>()
  const source = new Map<Id, Id>()
  const owner = (id: Id): Id => (source.has(id) ? owner(source.get(id)!) : id)
  func.insts.forEach((inst, at) => {
    if (inst.kind === 'op' && roles[inst.prim] === 'view' && inst.inputs.length === 1) source.set(inst.id, inst.inputs[0]!)
    readsOf(inst).forEach(id => last.set(owner(id), at))
  })
  func.results.forEach(id => last.set(owner(id), func.insts.length))
  let [live, most, buffers, dispatches, moved] = [size(func.params.map(p => p.id)), 0, func.params.length, 0, 0]
  func.insts.forEach((inst, at) => {
    const own = idsOf(inst).filter(id => !source.has(id))
    live += size(own)
    buffers += own.length
    if (inst.kind === 'scan') {
      const body = unfused(inst.body)
      dispatches += inst.length * body.dispatches
      moved += inst.length * body.moved
      buffers += body.buffers - inst.body.params.length
      most = Math.max(most, live + body.bytes - sum(inst.body.params.map(p => bytesOf(p.aval))))
    } else if (!free(inst)) {
      dispatches += 1
      moved += size(readsOf(inst)) + size([inst.id])
    }
    most = Math.max(most, live)
    const dead = new Set([...readsOf(inst).map(owner), ...own].filter(id => (last.get(id) ?? at) <= at && !func.params.some(p => p.id === id)))
    live -= size([...dead])
  })
  return { dispatches, copies: 0, moved, bytes: most, buffers }
}
