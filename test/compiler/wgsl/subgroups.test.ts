/** Reductions through subgroups: the module that a reader sees, and the numbers of a device that has subgroups, beside those of trees. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Reducing, reduceBy } from '../../../compiler/schedule/gpu/reduce.ts'
import type { Shares } from '../../../compiler/schedule/gpu/shares.ts'
import type { Kernel, Plan } from '../../../compiler/schedule/kernel/kernel.ts'
import { printDispatch, wgsl } from '../../../compiler/targets/wgsl/print.ts'
import type { DType } from '../../../dsl/core/prim.ts'
import { type Schedule, namesFor } from '../gpu/run.ts'
import { buffers, ix, kernel, load, planOf, samples, v } from '../wasm/plans.ts'
import { missing } from './device.ts'
import { type Trial, disagreements } from './plans.ts'

type Op = 'sum' | 'max' | 'min'
const reduced = (rows: number, n: number, op: Op, columns = false, dtype: DType = 'f32'): Plan => {
  const [i, j] = [v(rows, 'i'), v(n, 'j')]
  const at = columns ? ix(0, [1, i], [rows, j]) : ix(0, [n, i], [1, j])
  return planOf(buffers([rows * n, dtype], [rows, dtype]), kernel([i], { kind: 'reduce', op, vars: [j], value: load(0, at, dtype), dtype },
    { buffer: 1, at: ix(0, [1, i]), value: { kind: 'acc', dtype } }))
}
const by = (shares: Shares, subgroups: boolean): Schedule => (k, counters, dialect, names) =>
  [reduceBy(k as Reducing, shares, counters, dialect, names, subgroups)] // all kernels of these tests reduce

test('the greatest of each row, two rows to a workgroup', () => {
  const plan = reduced(10, 300, 'max')
  const k = plan.steps[0] as Kernel // the only step
  const { dispatches: [dispatch] } = reduceBy(k as Reducing, { outputs: 2, lanes: 64, chunks: 1, across: false }, [], wgsl, namesFor(2), true)
  const { code } = printDispatch(dispatch!, { name: 'best', places: [], notes: [], names: space => ['scores', 'best'][space]! }, () => 'f32', 0)
  assert.is(code.slice(0, code.indexOf('fn ')) + code.slice(code.indexOf('@compute')), `\
// best
enable subgroups;
@group(0) @binding(0) var<storage, read> scores: array<f32>;
@group(0) @binding(1) var<storage, read_write> best: array<f32>;
var<workgroup> tile: array<i32, 128>;
var<workgroup> tile_2: array<i32, 128>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local_index: u32) {
  let group = i32(workgroup.x);
  let thread = i32(local_index);
  let t = thread & 63;
  let t_2 = (group << 1u) + (thread >> 6u);
  let count = subgroupAdd(1);
  let first = subgroupMin(thread);
  let last = subgroupMax(thread);
  let alike = (last - first == count - 1) & ((first >> 6u) == (last >> 6u));
  let leads = first == thread;
  var acc = -infinity();
  let t_3 = t_2 * 300;
  for (var r = t; r < 300; r += 64) {
    acc = max_f32(acc, scores[t_3 + r]);
  }
  let t_4 = bitcast<i32>(acc);
  let t_5 = select((t_4 ^ ((t_4 >> 31u) & 2147483647)), 2147483647, ((t_4 & 2147483647) > 2139095040));
  let whole = subgroupMax(t_5);
  tile[thread] = select(t_5, select(-2147483648, whole, leads), alike);
  tile_2[thread] = select(1, select(0, count, leads), alike);
  workgroupBarrier();
  var part = -2147483648;
  var heard = 0;
  let turns = (64 / count + (count - t - 1)) / count;
  let t_6 = thread - t;
  for (var i = 0; i < turns; i += 1) {
    let t_7 = t_6 + (t + i * count) * count;
    part = max(part, tile[t_7]);
    heard = heard + tile_2[t_7];
  }
  let total = subgroupMax(part);
  let all = subgroupAdd(heard);
  if (t == 0) {
    var total_2 = total;
    if (!((all == 64) & alike)) {
      total_2 = -2147483648;
      for (var i_2 = 0; i_2 < 64; i_2 += 1) {
        total_2 = max(total_2, tile[thread + i_2]);
      }
    }
    let t_8 = bitcast<f32>(total_2 ^ ((total_2 >> 31u) & 2147483647));
    best[t_2] = select(0.0, t_8, (bitcast<i32>(t_8) & 2139095040) > 0);
  }
}
`)
})

const reason = missing()
const on = (name: string, run: () => void): void => (reason === null ? test(name, run) : test.skip(`${name}: skipped, no adapter (${reason})`, run))
if (reason !== null) process.stdout.write(`WebGPU: skipped, no adapter (${reason})\n`)

const ways: readonly Shares[] = [
  { outputs: 1, lanes: 256, chunks: 1, across: false }, { outputs: 1, lanes: 64, chunks: 3, across: true },
  { outputs: 8, lanes: 32, chunks: 1, across: false }, { outputs: 2, lanes: 128, chunks: 2, across: false },
]

on('rows, columns and everything, of odd sizes, of every type', () => {
  const plans: readonly (readonly [string, Plan, number?])[] = [
    ['sums of rows', reduced(5, 777, 'sum')], ['sums of columns', reduced(9, 1025, 'sum', true)], ['a sum of everything', reduced(1, 20011, 'sum')],
    ['greatest of rows', reduced(9, 130, 'max'), 0], ['least of columns', reduced(3, 4097, 'min', true), 0], ['least of all', reduced(1, 999, 'min'), 0],
    ...(['i32', 'u32'] as const).flatMap(dtype =>
      (['sum', 'max', 'min'] as const).map(op => [`${op} of ${dtype}`, reduced(3, 500, op, false, dtype), 0] as const)),
    ...(['max', 'min'] as const).map(op => [`${op} of bools`, reduced(20, 40, op, false, 'bool'), 0] as const),
  ]
  // what lies between two dispatches is f32 here
  const waysFor = (plan: Plan): readonly Shares[] => ways.filter(({ chunks }) => chunks === 1 || plan.buffers[0]?.aval.dtype === 'f32')
  const trials = plans.flatMap(([label, plan, tolerance]) => waysFor(plan).flatMap(shares => [true, false].map((subgroups): Trial => ({
    label: `${label}, ${subgroups ? 'subgroups' : 'tree'}, ${JSON.stringify(shares)}`, plan, schedule: by(shares, subgroups),
    ...(tolerance === undefined ? {} : { tolerance }),
  }))))
  assert.equal(disagreements(trials), [])
})

on('NaN of either sign, infinities and zeros', () => {
  const negative = new Float32Array(Uint32Array.of(0xffc00001).buffer)[0]!
  const trials = (['sum', 'max', 'min'] as const).flatMap(op => [NaN, negative, Infinity, -Infinity, 0].flatMap(value => ways.flatMap(shares => {
    const plan = reduced(2, 700, op)
    const x = [...samples(1400, 'f32')]
    for (const place of [5, 699]) x[place] = value
    return [true, false].map((subgroups): Trial => ({
      label: `${op} of ${value}, ${subgroups ? 'subgroups' : 'tree'}, ${JSON.stringify(shares)}`, plan, schedule: by(shares, subgroups),
      given: new Map([[0, x]]), tolerance: op === 'sum' ? 2e-5 : 0,
    }))
  })))
  assert.equal(disagreements(trials), [])
})

test.run()
