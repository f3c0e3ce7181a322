/** Products on a grid of workgroups: tiles in workgroup memory, against the float64 interpreter of plans, by the interpreter of dispatches. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Expr, Index, Kernel, Plan, Var } from '../../../compiler/schedule/kernel/kernel.ts'
import { add, scale, shift, variable } from '../../../compiler/schedule/kernel/indexing.ts'
import { product as tiled, productBy } from '../../../compiler/schedule/gpu/product/product.ts'
import { type Cut, type Size, cutsFor } from '../../../compiler/schedule/gpu/product/tiles.ts'
import type { Dispatched } from '../../../compiler/schedule/gpu/dispatch.ts'
import { acc, buffers, guard, ix, kernel, load, num, op, planOf, product, v, when } from '../wasm/plans.ts'
import { type Schedule, disagreement, filled } from './run.ts'

const must = (made: readonly Dispatched[] | null): readonly Dispatched[] => {
  if (made === null) throw new RangeError('no tile fits')
  return made
}
/** By tiles, or not at all: the best way by default, or one that is asked for. */
const byTiles = (cut?: (size: Size) => Cut): Schedule => (k, counters, dialect, names) => {
  const made = cut === undefined ? tiled(k, counters, dialect, names) : productBy(k, cut, counters, dialect, names)
  return must(made === null ? null : 'dispatches' in made ? [made] : made)
}
const agree = (plan: Plan, tolerance = 2e-5, cut?: (size: Size) => Cut): void => assert.is(disagreement(plan, tolerance, filled(plan), byTiles(cut)), '')

const matmul = (m: number, n: number, k: number, [ta, tb, to]: readonly [number, number, number] = [0, 0, 0]): Plan => {
  const [i, j, l] = [v(m, 'i'), v(n, 'j'), v(k, 'l')]
  const a = load(0, ta ? ix(0, [m, l], [1, i]) : ix(0, [k, i], [1, l]))
  const b = load(1, tb ? ix(0, [k, j], [1, l]) : ix(0, [n, l], [1, j]))
  return planOf(buffers(m * k, k * n, m * n), kernel([i, j], product([l], a, b), { buffer: 2, at: to ? ix(0, [m, j], [1, i]) : ix(0, [n, i], [1, j]), value: acc }))
}
const layouts = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 1]] as const

test('matrix products in all layouts', () => {
  for (const [m, n, k] of [[17, 33, 40], [65, 65, 65], [64, 64, 64], [100, 70, 130]] as const) for (const layout of layouts) agree(matmul(m, n, k, layout))
})

test.run()
