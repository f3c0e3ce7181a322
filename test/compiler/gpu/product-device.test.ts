/** Tiled products as WGSL on the device that there is, a software adapter too, in a child process: against the float64 interpreter of plans. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { productBy } from '../../../compiler/schedule/gpu/product/product.ts'
import { type Cut, type Size, cutsFor } from '../../../compiler/schedule/gpu/product/tiles.ts'
import { add, scale, shift, variable } from '../../../compiler/schedule/kernel/indexing.ts'
import type { Kernel, Plan } from '../../../compiler/schedule/kernel/kernel.ts'
import { printDispatch, wgsl } from '../../../compiler/targets/wgsl/print.ts'
import { interpret } from '../plan-interpreter.ts'
import { acc, buffers, guard, ix, kernel, load, num, op, planOf, product, v, when } from '../wasm/plans.ts'
import { type Dispatching, missing, runAll } from '../wgsl/device.ts'
import { differing, filled, namesFor } from './run.ts'

const matmul = (m: number, n: number, k: number, turned = false): Plan => {
  const [i, j, l] = [v(m, 'i'), v(n, 'j'), v(k, 'l')]
  const a = load(0, turned ? ix(0, [m, l], [1, i]) : ix(0, [k, i], [1, l]))
  const b = load(1, ix(0, [n, l], [1, j]))
  return planOf(buffers(m * k, k * n, m * n), kernel([i, j], product([l], a, b), { buffer: 2, at: ix(0, [n, i], [1, j]), value: acc }))
}
const convolution = (): Plan => {
  const [n, c, o, h, p] = [2, 3, 8, 16, 8]
  const [b, f, y, x, ci, ky, kx] = [v(n, 'b'), v(o, 'f'), v(p, 'y'), v(p, 'x'), v(c, 'c'), v(4, 'ky'), v(4, 'kx')]
  const [rows, columns] = [shift(add(scale(variable(y), 2), variable(ky)), -1), shift(add(scale(variable(x), 2), variable(kx)), -1)]
  const input = when([guard(rows, h), guard(columns, h)], load(0, add(ix(0, [c * h * h, b], [h * h, ci]), add(scale(rows, h), columns))))
  const weight = load(1, ix(0, [c * 16, f], [16, ci], [4, ky], [1, kx]))
  const value = op('maximum', [op('add', [acc, load(2, variable(f))]), num(0)])
  const all = buffers(n * c * h * h, o * c * 16, o, n * o * p * p)
  return planOf(all, kernel([b, f, y, x], product([ci, ky, kx], weight, input), { buffer: 3, at: ix(0, [o * p * p, b], [p * p, f], [p, y], [1, x]), value }))
}

type Case = { readonly plan: Plan; readonly choose: (size: Size) => Cut }
const best = (plan: Plan): Case => ({ plan, choose: size => cutsFor(size)[0]! })
const parted: Case = { plan: matmul(20, 40, 1300), choose: size => ({ tile: cutsFor(size)[0]!.tile, parts: 5 }) }
const largest = (plan: Plan): Case => ({ plan, choose: size => cutsFor(size).find(c => c.tile.down === 16 && c.tile.p === 2 && c.tile.q === 2)! })
const plain = [matmul(64, 64, 64), matmul(65, 65, 65), matmul(128, 128, 128), convolution()].map(best)
const straight: Case = { plan: matmul(3, 260, 20), choose: size => ({ tile: cutsFor(size).find(c => c.tile.down === 1)!.tile, parts: 1 }) }
const cases = [...plain, straight, largest(matmul(136, 132, 40, true)), parted]

/** What the buffers of each case hold in the end: the n-th dispatches of all of them run in one process. */
const onDevice = (): readonly ReadonlyMap<number, ArrayLike<number>>[] => {
  const states = cases.map(({ plan, choose }) => {
    const made = productBy(plan.steps[0] as Kernel, choose, [], wgsl, namesFor(plan.buffers.length)) // the plans above have one kernel each
    if (made === null) throw new RangeError('no tile fits')
    const memory = new Map<number, Float32Array>([...filled(plan)].map(([id, data]) => [id, Float32Array.from(data)]))
    made.scratch.forEach(s => memory.set(s.space, new Float32Array(s.bytes / 4).fill(NaN)))
    return { made, memory }
  })
  for (let n = 0; n < Math.max(...states.map(s => s.made.dispatches.length)); n += 1) {
    const running = states.flatMap(({ made, memory }) => {
      const dispatch = made.dispatches[n]
      if (dispatch === undefined) return []
      const { code, bindings } = printDispatch(dispatch, { name: '', places: [], notes: [] }, () => 'f32', 0)
      const job: Dispatching = { code, groups: dispatch.nest.extent, buffers: bindings.map(b => memory.get(b.space)!) }
      return [{ job, bindings, memory }]
    })
    const outcomes = runAll(running.map(r => r.job))
    running.forEach(({ bindings, memory }, i) => bindings.forEach((b, at) => memory.set(b.space, new Float32Array(outcomes[i]![at]!.buffer as ArrayBuffer))))
  }
  return states.map(s => s.memory)
}

const why = missing()
if (why !== null) test.skip(`products on a device: skipped, no adapter (${why})`, () => {})
else
  test('products on a device', () => {
    const got = onDevice()
    cases.forEach(({ plan }, i) => assert.is(differing(plan, got[i]!, interpret(plan, filled(plan)), 1e-4), ''))
  })

test.run()
