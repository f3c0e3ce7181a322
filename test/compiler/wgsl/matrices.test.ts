/** Products on tensor cores as WGSL: read by Dawn, without any device, and without a word from it. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Dispatch, mostSharedBytes, sharedBytesOf } from '../../../compiler/schedule/gpu/dispatch.ts'
import { type MatrixCut, matrixCutsFor } from '../../../compiler/schedule/gpu/product/matrix-tiles.ts'
import { matricesBy } from '../../../compiler/schedule/gpu/product/product.ts'
import type { Size } from '../../../compiler/schedule/gpu/product/tiles.ts'
import { add, scale, shift, variable } from '../../../compiler/schedule/kernel/indexing.ts'
import type { Kernel, Plan, Var } from '../../../compiler/schedule/kernel/kernel.ts'
import { printDispatch, wgsl } from '../../../compiler/targets/wgsl/print.ts'
import { namesFor } from '../gpu/run.ts'
import { acc, buffers, guard, ix, kernel, load, num, op, planOf, product, v, when } from '../wasm/plans.ts'
import type { Module } from './validate.ts'

/** What Dawn says of each module; null where the package is not installed. */
const said = (modules: readonly Module[]): readonly string[] | null => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', fileURLToPath(new URL('validate.ts', import.meta.url))], {
    input: JSON.stringify(modules), encoding: 'utf8', maxBuffer: 2 ** 26, timeout: 60_000,
  })
  if (status === 3) return null
  if (status !== 0) throw new Error(`reading WGSL ended with ${status}: ${stderr}`)
  return JSON.parse(stdout) as readonly string[] // validate.ts prints just that
}
const here = said([]) !== null
const on = (name: string, run: () => void): void => (here ? test(name, run) : test.skip(`${name}: skipped, the package webgpu is not installed`, run))

const matmul = (m: number, n: number, k: number, turned = false): Plan => {
  const [i, j, l] = [v(m, 'i'), v(n, 'j'), v(k, 'l')]
  const a = load(0, turned ? ix(0, [m, l], [1, i]) : ix(0, [k, i], [1, l]))
  return planOf(buffers(m * k, k * n, m * n), kernel([i, j], product([l], a, load(1, ix(0, [n, l], [1, j]))), { buffer: 2, at: ix(0, [n, i], [1, j]), value: acc }))
}
/** Padding, a stride, a bias and an activation. */
const convolution = (): Plan => {
  const [n, c, o, h, p] = [4, 8, 32, 32, 16]
  const [b, f, y, x, ci, ky, kx] = [v(n, 'b'), v(o, 'f'), v(p, 'y'), v(p, 'x'), v(c, 'c'), v(4, 'ky'), v(4, 'kx')]
  const [row, column] = [shift(add(scale(variable(y), 2), variable(ky)), -1), shift(add(scale(variable(x), 2), variable(kx)), -1)]
  const input = when([guard(row, h), guard(column, h)], load(0, add(ix(0, [c * h * h, b], [h * h, ci]), add(scale(row, h), column))))
  const value = op('maximum', [op('add', [acc, load(2, variable(f))]), num(0)])
  const at = ix(0, [o * p * p, b], [p * p, f], [p, y], [1, x])
  const weight = load(1, ix(0, [c * 16, f], [16, ci], [4, ky], [1, kx]))
  return planOf(buffers(n * c * h * h, o * c * 16, o, n * o * p * p), kernel([b, f, y, x], product([ci, ky, kx], weight, input), { buffer: 3, at, value }))
}

const made = (plan: Plan, choose: (size: Size) => MatrixCut, counters: readonly Var[] = []): readonly Dispatch[] =>
  matricesBy(plan.steps[0] as Kernel, choose, counters, wgsl, namesFor(plan.buffers.length))?.dispatches ?? [] // the plans above have one kernel
const module = (dispatch: Dispatch, counters = 0): Module =>
  ({ code: printDispatch(dispatch, { name: '', places: [], notes: [] }, () => 'f32', counters).code, pipeline: sharedBytesOf(dispatch) <= mostSharedBytes })
const cuts = (size: Size): readonly MatrixCut[] => matrixCutsFor(size, 2 ** 26)

on('every tile, with edges and without, whole and in parts, within loops', () => {
  const count = { tiles: 0 }
  made(matmul(512, 512, 512), size => {
    count.tiles = cuts(size).length
    return cuts(size)[0]!
  })
  assert.ok(count.tiles >= 8)
  const all = [matmul(512, 512, 512), matmul(500, 500, 500, true), convolution()].flatMap(plan =>
    Array.from({ length: count.tiles }, (_, i) => made(plan, size => ({ ...cuts(size)[i % cuts(size).length]!, parts: 1 }))).flat().map(d => module(d)))
  const parts = made(matmul(64, 64, 4096), size => ({ ...cuts(size)[0]!, parts: 7 })).map(d => module(d))
  const looped = made(matmul(512, 512, 512), size => cuts(size)[0]!, [v(3, 't')]).map(d => module(d, 1))
  const modules = [...all, ...parts, ...looped]
  assert.ok(modules.some(m => m.pipeline) && parts.length === 2)
  said(modules)!.forEach((words, i) => assert.is(words, '', `${words}\n${modules[i]!.code}`))
})

on('what is wrong is said: positions that differ within a subgroup, another order of the sides, types that do not fit', () => {
  const { code } = module(made(matmul(64, 64, 64), size => cuts(size)[0]!)[0]!)
  assert.match(code, /^enable f16;\nenable subgroups;\nenable chromium_experimental_subgroup_matrix;\n/)
  const changed = [
    code.replace('i32(subgroup_index)', 'i32(local_index >> 5u)'),
    code.replace(/MultiplyAccumulate\((\w+), (\w+), /, 'MultiplyAccumulate($2, $1, '),
    code.replace('var<workgroup> tile: array<f16,', 'var<workgroup> tile: array<i32,'),
    code.replace('enable chromium_experimental_subgroup_matrix;\n', ''),
  ]
  changed.forEach(text => assert.not.equal(text, code))
  said(changed.map(text => ({ code: text, pipeline: false })))!.forEach(words => assert.match(words, /^error /))
})

test.run()
