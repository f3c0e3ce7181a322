/** Functions as gathers, from the passes to the nests, against the reference interpreter. */
import * as assert from 'uvu/assert'
import { plan as planOf } from '../../../../compiler/fuse/plan.ts'
import { interpret } from '../../../../compiler/ir/interpret.ts'
import type { Func } from '../../../../compiler/ir/ir.ts'
import { printFunc } from '../../../../compiler/ir/print.ts'
import type { Plan } from '../../../../compiler/schedule/kernel/kernel.ts'
import { optimise } from '../../../../compiler/transform/passes.ts'
import type { Dense } from '../../../../dsl/core/dense.ts'
import { rounded } from '../../together.ts'
import { arrayOf, gathersOf, runGathers } from './run.ts'

/** The results of a plan, run twice: the second run finds what the first has left. */
const results = (made: Plan, count: number, args: readonly Dense[]): readonly ArrayLike<number>[] => {
  const gathers = gathersOf(made)
  const given = () => made.buffers.flatMap(b => {
    if (b.role.kind !== 'input') return []
    const data = arrayOf(b.aval.dtype, args[b.role.index]!.data.length)
    data.set(args[b.role.index]!.data)
    return [[b.id, data] as const]
  })
  const memory = runGathers(gathers, new Map(given()))
  for (const [id, data] of given()) {
    assert.equal(memory.get(id), data, 'an input is changed')
    memory.set(id, data)
  }
  runGathers(gathers, memory)
  return Array.from({ length: count }, (_, i) => memory.get(made.buffers.find(b => b.role.kind === 'output' && b.role.index === i)!.id)!)
}

/** A function gives what the interpreter gives, up to `tolerance` of each result's largest element; integers to the bit. */
export const check = (name: string, func: Func, args: readonly Dense[], tolerance: number): void => {
  const given = args.map(rounded)
  const got = results(planOf(optimise(func)), func.results.length, given)
  interpret(func, given).forEach((want, i) => {
    const scale = Array.from(want.data, Math.abs).filter(Number.isFinite).reduce((m, x) => Math.max(m, x), 1)
    const least = want.dtype === 'f32' ? tolerance * scale : 0
    assert.is(got[i]!.length, want.data.length)
    want.data.forEach((x, j) => {
      const y = got[i]![j]!
      const fits = Object.is(x, y) || x === y || (Number.isNaN(x) && Number.isNaN(y)) || Math.abs(x - y) <= least
      if (!fits) assert.unreachable(`${name}: result ${i} at ${j} is ${y}, not ${x}\n${printFunc(func)}`)
    })
  })
}
