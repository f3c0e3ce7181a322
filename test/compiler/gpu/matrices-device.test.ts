/**
 * The WGSL of products on tensor cores, run on the device that there is, a software adapter too, which has none: what subgroups do with matrices
 * is put into words that every device knows (each thread holds the whole matrix, in numbers rounded to half precision), and all else of the
 * text stays as it is. Against the float64 interpreter of plans, in a child process.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { MatrixTile } from '../../../compiler/schedule/gpu/product/matrix-tiles.ts'
import { matricesBy } from '../../../compiler/schedule/gpu/product/product.ts'
import { add, scale, shift, variable } from '../../../compiler/schedule/kernel/indexing.ts'
import type { Kernel, Plan } from '../../../compiler/schedule/kernel/kernel.ts'
import { printDispatch, wgsl } from '../../../compiler/targets/wgsl/print.ts'
import { interpret } from '../plan-interpreter.ts'
import { acc, buffers, guard, ix, kernel, load, num, op, planOf, product, v, when } from '../wasm/plans.ts'
import { type Dispatching, missing, runAll } from '../wgsl/device.ts'
import { half } from './matrix-steps.ts'
import { differing, filled, namesFor } from './run.ts'

/** Of every array that matrices lie in: how one is read from it, and written to it by the first thread of a subgroup. */
const accessTo = (name: string, written: boolean): string => `
fn load_of_${name}(at: i32, down: i32, across: i32) -> array<f32, 256> {
  var m: array<f32, 256>;
  for (var i = 0; i < 256; i += 1) { m[i] = ${name}[at + (i / 16) * down + (i % 16) * across]; }
  return m;
}
${written ? `fn store_to_${name}(first: bool, at: i32, down: i32, across: i32, given: array<f32, 256>) {
  var m = given;
  if (first) { for (var i = 0; i < 256; i += 1) { ${name}[at + (i / 16) * down + (i % 16) * across] = m[i]; } }
}` : ''}`
const multiply = `
fn multiply(left: array<f32, 256>, right: array<f32, 256>, sum: array<f32, 256>) -> array<f32, 256> {
  var a = left;
  var b = right;
  var c = sum;
  for (var i = 0; i < 256; i += 1) {
    for (var k = 0; k < 16; k += 1) { c[i] += a[16 * (i / 16) + k] * b[16 * k + i % 16]; }
  }
  return c;
}
`

/** The module without subgroup matrices. Throws where some of them are left. */
const spelled = (code: string): string => {
  const used = new Map<string, boolean>()
  const strides = (order: string, stride: string): string => (order === 'row_major' ? `${stride}, 1` : `1, ${stride}`)
  const text = code.replace(/^enable .*;\n/gm, '')
    .replace(/array<f16, /g, 'array<f32, ').replace(/\bf16\(/g, 'quantizeToF16(')
    .replace(', @builtin(subgroup_id) subgroup_index: u32', '').replace('i32(subgroup_index)', 'i32(local_index / 32u)')
    .replace(/subgroup_matrix_result<f32, 16, 16>\(\)/g, 'array<f32, 256>()')
    .replace(/subgroupMatrixLoad<subgroup_matrix_(?:left|right)<f16, 16, 16>, (\w+)>\(&(\w+), (.*), (\d+)\);/g, (_, ...parts: readonly string[]) => {
      const [order = '', name = '', at = '', stride = ''] = parts
      used.set(name, used.get(name) ?? false)
      return `load_of_${name}(${at}, ${strides(order, stride)});`
    })
    .replace(/subgroupMatrixStore<(\w+)>\(&(\w+), (.*), (\w+), (\d+)\);/g, (_, ...parts: readonly string[]) => {
      const [order = '', name = '', at = '', matrix = '', stride = ''] = parts
      used.set(name, true)
      return `store_to_${name}(local_index % 32u == 0u, ${at}, ${strides(order, stride)}, ${matrix});`
    })
    .replace(/subgroupMatrixMultiplyAccumulate\(/g, 'multiply(')
  if (/subgroup_?[mM]atrix|f16\b(?!\()/.test(text.replace(/quantizeToF16/g, ''))) throw new Error(`not all of it is known:\n${text}`)
  return text.replace('@compute', `${[...used].map(([name, written]) => accessTo(name, written)).join('')}${multiply}@compute`)
}

const matmul = (m: number, n: number, k: number, turned = false): Plan => {
  const [i, j, l] = [v(m, 'i'), v(n, 'j'), v(k, 'l')]
  const a = load(0, turned ? ix(0, [m, l], [1, i]) : ix(0, [k, i], [1, l]))
  const b = load(1, ix(0, [n, l], [1, j]))
  return planOf(buffers(m * k, k * n, m * n), kernel([i, j], product([l], a, b), { buffer: 2, at: ix(0, [n, i], [1, j]), value: acc }))
}
const convolution = (): Plan => {
  const [n, c, o, h, p] = [2, 3, 20, 8, 4]
  const [b, f, y, x, ci, ky, kx] = [v(n, 'b'), v(o, 'f'), v(p, 'y'), v(p, 'x'), v(c, 'c'), v(4, 'ky'), v(4, 'kx')]
  const [row, column] = [shift(add(scale(variable(y), 2), variable(ky)), -1), shift(add(scale(variable(x), 2), variable(kx)), -1)]
  const input = when([guard(row, h), guard(column, h)], load(0, add(ix(0, [c * h * h, b], [h * h, ci]), add(scale(row, h), column))))
  const value = op('maximum', [op('add', [acc, load(2, variable(f))]), num(0)])
  const at = ix(0, [o * p * p, b], [p * p, f], [p, y], [1, x])
  const weight = load(1, ix(0, [c * 16, f], [16, ci], [4, ky], [1, kx]))
  return planOf(buffers(n * c * h * h, o * c * 16, o, n * o * p * p), kernel([b, f, y, x], product([ci, ky, kx], weight, input), { buffer: 3, at, value }))
}

/** In f32, workgroup memory for these is no more than every device has. */
const tileOf = (p: number, q: number, buffers: 1 | 2): MatrixTile => ({ down: 2, across: 2, p, q, depth: 16, buffers })
type Case = { readonly plan: Plan; readonly tile: MatrixTile; readonly parts: number }
const cases: readonly Case[] = [
  { plan: matmul(36, 68, 40), tile: tileOf(1, 2, 1), parts: 1 },
  { plan: matmul(40, 36, 37, true), tile: tileOf(1, 1, 2), parts: 1 },
  { plan: matmul(33, 34, 150), tile: tileOf(2, 1, 2), parts: 3 },
  { plan: convolution(), tile: tileOf(1, 1, 2), parts: 1 },
]
/** Numbers of half precision, none of them so small that a device may take it for 0. */
const halves = (plan: Plan): ReadonlyMap<number, readonly number[]> =>
  new Map([...filled(plan)].map(([id, data]) => [id, data.map(x => (Math.abs(x) < 2 ** -14 ? 0 : half(x)))]))

/** What the buffers of each case hold in the end: the n-th dispatches of all of them run in one process. */
const onDevice = (): readonly ReadonlyMap<number, ArrayLike<number>>[] => {
  const states = cases.map(({ plan, tile, parts }) => {
    const made = matricesBy(plan.steps[0] as Kernel, () => ({ tile, parts }), [], wgsl, namesFor(plan.buffers.length)) // the plans above have one kernel each
    if (made === null) throw new RangeError('residues are not alike')
    const memory = new Map<number, Float32Array>([...halves(plan)].map(([id, data]) => [id, Float32Array.from(data)]))
    made.scratch.forEach(s => memory.set(s.space, new Float32Array(s.bytes / 4).fill(NaN)))
    return { made, memory }
  })
  for (let n = 0; n < Math.max(...states.map(s => s.made.dispatches.length)); n += 1) {
    const running = states.flatMap(({ made, memory }) => {
      const dispatch = made.dispatches[n]
      if (dispatch === undefined) return []
      const { code, bindings } = printDispatch(dispatch, { name: '', places: [], notes: [] }, () => 'f32', 0)
      const job: Dispatching = { code: spelled(code), groups: dispatch.nest.extent, buffers: bindings.map(b => memory.get(b.space)!) }
      return [{ job, bindings, memory }]
    })
    const outcomes = runAll(running.map(r => r.job))
    running.forEach(({ bindings, memory }, i) => bindings.forEach((b, at) => memory.set(b.space, new Float32Array(outcomes[i]![at]!.buffer as ArrayBuffer))))
  }
  return states.map(s => s.memory)
}

const why = missing()
if (why !== null) test.skip(`products with matrices on a device: skipped, no adapter (${why})`, () => {})
else
  test('products with matrices on a device', () => {
    const got = onDevice()
    cases.forEach(({ plan }, i) => assert.is(differing(plan, got[i]!, interpret(plan, halves(plan)), 1e-5), ''))
  })

test.run()
