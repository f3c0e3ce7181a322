/** Modules as text: what a reader sees, and that values stand where they have to. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Dispatch } from '../../../compiler/schedule/gpu/dispatch.ts'
import { builder, type Builder } from '../../../compiler/schedule/nest/builder.ts'
import { type Local, apply, constOf, f32, i32 } from '../../../compiler/schedule/nest/nest.ts'
import { literal } from '../../../compiler/targets/wgsl/text.ts'
import { identifier, naming } from '../../../compiler/targets/wgsl/names.ts'
import { type About, printDispatch, wgsl } from '../../../compiler/targets/wgsl/print.ts'

const plain: About = { name: '', places: [], notes: [] }
type Params = { readonly group: Local; readonly thread: Local; readonly counters: readonly Local[] }
type Parts = Partial<Omit<Dispatch, 'nest'>> & { readonly extent?: number; readonly counters?: readonly string[] }

const dispatch = (
  build: (b: Builder, params: Params) => void,
  { extent = 4, counters = [], threads = 64, shared = [], quads = new Set<number>() }: Parts = {},
): Dispatch => {
  const b = builder('nest')
  const [group, thread] = [b.param('i32', 'group'), b.param('i32', 'thread')]
  build(b, { group, thread, counters: counters.map(label => b.param('i32', label)) })
  return { nest: b.finish(extent), threads, shared, quads }
}
/** The lines of `main` after its opening. */
const bodyOf = (d: Dispatch, bools: readonly number[] = []): readonly string[] => {
  const lines = printDispatch(d, plain, space => (bools.includes(space) ? 'bool' : 'f32'), 0).code.trimEnd().split('\n')
  return lines.slice(lines.findIndex(l => l.includes('i32(local_index)')) + 1, -1)
}

test('a reduction in workgroup memory, within a loop', () => {
  const d = dispatch((b, { group, thread, counters: [t] }) => {
    b.changes(2)
    const sum = b.variable('f32x4', 'sum')
    b.set(sum, constOf('f32x4', 0))
    const row = b.call('add', 'i32', b.call('mul', 'i32', group, i32(1024)), b.call('mul', 'i32', t!, i32(4096)))
    b.loop('k', i32(0), i32(1024), 256, k => {
      const x = b.load('f32x4', 0, b.call('add', 'i32', b.call('add', 'i32', row, b.call('mul', 'i32', thread, i32(4))), k))
      b.set(sum, b.call('add', 'f32x4', sum, wgsl.maths.call(b, 'exp', x)))
    })
    const lanes = [0, 1, 2, 3].map(i => b.lane(sum, i))
    b.store(2, thread, 0, lanes.reduce((x, y) => b.call('add', 'f32', x, y)))
    for (const step of [32, 16]) {
      b.barrier()
      b.branch(b.call('lt', 'bool', thread, i32(step)), () =>
        b.store(2, thread, 0, b.call('add', 'f32', b.load('f32', 2, thread), b.load('f32', 2, thread, step))))
    }
    b.barrier()
    b.branch(b.call('eq', 'bool', thread, i32(0)), () => b.store(1, group, 0, b.load('f32', 2, i32(0))))
  }, { counters: ['t'], shared: [{ space: 2, type: 'f32', elements: 64 }], quads: new Set([0]), extent: 70000 })
  const about: About = { name: 'h_sum', places: ['model.ts:6:3', 'model.ts:9:1'], notes: ['70000 workgroups'], names: space => ['p.l1.weight', 'h'][space]! }
  const { code, bindings } = printDispatch(d, about, () => 'f32', 1)
  assert.equal(bindings, [{ space: 0, access: 'read' }, { space: 1, access: 'write' }])
  assert.is(code.slice(0, code.indexOf('fn ')) + code.slice(code.indexOf('@compute')), `\
// h_sum  model.ts:6:3, model.ts:9:1
// 70000 workgroups
alias tile_t = f32;
@group(0) @binding(0) var<storage, read> p_l1_weight: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> h: array<f32>;
@group(1) @binding(0) var<uniform> t_counter: vec4<i32>;
var<workgroup> tile: array<tile_t, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local_index: u32) {
  let group = i32(workgroup.x + workgroup.y * 65535u);
  if (group >= 70000) {
    return;
  }
  let thread = i32(local_index);
  let t = t_counter.x;
  var sum = vec4<f32>(0.0);
  let t_2 = group * 1024 + t * 4096 + thread * 4;
  for (var k = 0; k < 1024; k += 256) {
    sum = sum + exp_f32x4(p_l1_weight[(t_2 + k) >> 2u]);
  }
  tile[thread] = tile_t(sum.x + sum.y + sum.z + sum.w);
  workgroupBarrier();
  if (thread < 32) {
    tile[thread] = tile_t(f32(tile[thread]) + f32(tile[thread + 32]));
  }
  workgroupBarrier();
  if (thread < 16) {
    tile[thread] = tile_t(f32(tile[thread]) + f32(tile[thread + 16]));
  }
  workgroupBarrier();
  if (thread == 0) {
    h[group] = f32(tile[0]);
  }
}
`)
})

test('a function is defined once, before what calls it, from the rules that say what it computes', () => {
  const d = dispatch((b, { group }) => {
    const x = b.load('f32', 0, group)
    b.store(1, group, 0, wgsl.maths.call(b, 'softplus', x))
    b.store(1, group, 1, wgsl.maths.call(b, 'softplus', b.call('add', 'f32', x, f32(1))))
  })
  const { code } = printDispatch(d, plain, () => 'f32', 0)
  assert.is(code, `\
@group(0) @binding(0) var<storage, read> given: array<f32>;
@group(0) @binding(1) var<storage, read_write> result: array<f32>;

fn at_least_f32(x: f32, bound: f32) -> f32 {
  return select(max(x, bound), x, (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u);
}

fn softplus_f32(x: f32) -> f32 {
  let t = at_least_f32(bitcast<f32>(bitcast<i32>(x) | -2147483648), -88.0);
  let t_2 = fma(t, 1.442695, 12582912.0);
  let t_3 = t_2 - 12582912.0;
  let t_4 = fma(t_3, 0.00021219444, fma(t_3, -0.6933594, t));
  let t_5 = bitcast<f32>((bitcast<i32>(t_2) << 23u) + 1065353216);
  let t_6 = fma(t_4, fma(t_4, fma(t_4, 0.0013869788, 0.008366433), 0.041667446), 0.16666545);
  let t_7 = fma(t_5, fma(t_4 * t_4, fma(t_4, t_6, 0.49999997), t_4), t_5);
  let t_8 = fma(t_7, fma(t_7, fma(t_7, -0.003310628, 0.020168265), -0.057594087), 0.10673169);
  let t_9 = fma(t_7, fma(t_7, fma(t_7, t_8, -0.1535085), 0.19693746), -0.24958247);
  let t_10 = fma(t_7 * t_7, fma(t_7, fma(t_7, t_9, 0.33330476), -0.4999993), at_least_f32(x, 0.0));
  return t_7 + t_10;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local_index: u32) {
  let group = i32(workgroup.x);
  let thread = i32(local_index);
  let load = given[group];
  result[group] = softplus_f32(load);
  result[group + 1] = softplus_f32(load + 1.0);
}
`)
})

test('variables are declared where they are set first, if that is sure to come before they are read', () => {
  const d = dispatch((b, { thread }) => {
    const [chosen, kept, last] = [b.variable('f32', 'chosen'), b.variable('f32', 'kept'), b.variable('i32', 'last')]
    b.loop('i', i32(0), i32(8), 1, i => {
      b.branch(b.call('lt', 'bool', i, thread), () => b.set(chosen, b.load('f32', 0, i)), () => b.set(chosen, f32(0.5)))
      b.branch(b.call('eq', 'bool', i, i32(3)), () => b.set(kept, chosen))
      b.store(1, i, 0, b.call('mul', 'f32', chosen, kept))
      b.set(last, i)
    })
    b.store(1, last, 0, f32(-0))
  })
  assert.equal(bodyOf(d), [
    '  var kept: f32;',
    '  var last: i32;',
    '  for (var i = 0; i < 8; i += 1) {',
    '    var chosen: f32;',
    '    if (i < thread) {',
    '      chosen = given[i];',
    '    } else {',
    '      chosen = 0.5;',
    '    }',
    '    if (i == 3) {',
    '      kept = chosen;',
    '    }',
    '    result[i] = chosen * kept;',
    '    last = i;',
    '  }',
    '  result[last] = bitcast<f32>(0x80000000u);',
  ])
})

test('values stay where they are computed, if a store, a barrier or a loop lies between that and their use', () => {
  const d = dispatch((b, { thread, group }) => {
    b.changes(2)
    const [x, y] = [b.load('f32', 0, thread), b.load('f32', 2, thread)]
    b.store(2, group, 0, f32(1))
    b.store(1, group, 0, y)
    b.barrier()
    b.store(1, thread, 0, x)
    const z = b.call('mul', 'f32', b.load('f32', 0, group), f32(3))
    b.loop('i', i32(0), i32(8), 1, i => b.store(1, i, 0, z))
  }, { shared: [{ space: 2, type: 'f32', elements: 64 }] })
  assert.equal(bodyOf(d), [
    '  let load = given[thread];',
    '  let load_2 = f32(tile[thread]);',
    '  tile[group] = tile_t(1.0);',
    '  result[group] = load_2;',
    '  workgroupBarrier();',
    '  result[thread] = load;',
    '  let t = given[group] * 3.0;',
    '  for (var i = 0; i < 8; i += 1) {',
    '    result[i] = t;',
    '  }',
  ])
})

test('vectors in buffers of scalars, bools in memory, positions of quads', () => {
  const d = dispatch((b, { thread }) => {
    const at = b.call('shl', 'i32', thread, i32(2))
    const odd = b.call('add', 'i32', at, i32(1))
    const [p, q] = [b.load('f32x4', 0, at, 8), b.load('f32x4', 1, odd)]
    const less = b.call('lt', 'boolx4', p, q)
    b.store(2, at, 0, less)
    b.store(3, at, 12, b.call('lanes', 'f32x4', ...[3, 2, 1, 0].map(i => b.lane(b.load('f32x4', 0, at), i))))
    b.store(4, odd, 0, b.call('and', 'bool', b.load('bool', 5, thread), b.lane(less, 1)))
    b.store(3, at, 0, b.let({ kind: 'shuffle', type: 'f32x4', a: p, b: q, lanes: [0, 2, 5, 7] }))
  }, { quads: new Set([0, 3]) })
  const { code, bindings } = printDispatch(d, plain, space => (space === 2 || space === 4 || space === 5 ? 'bool' : 'f32'), 0)
  assert.equal(bindings.map(b => `${b.space} ${b.access}`), ['0 read', '1 read', '2 write', '3 write', '5 read', '4 write'])
  assert.match(code, 'var<storage, read> given: array<vec4<f32>>;')
  assert.match(code, 'var<storage, read> given_3: array<u32>;')
  assert.equal(bodyOf(d, [2, 4, 5]), [
    '  let t = thread << 2u;',
    '  let t_2 = t + 1;',
    '  let load = given[thread + 2];',
    '  let load_2 = vec4<f32>(given_2[t_2], given_2[t_2 + 1], given_2[t_2 + 2], given_2[t_2 + 3]);',
    '  let t_3 = load < load_2;',
    '  result[t] = u32(t_3.x);',
    '  result[t + 1] = u32(t_3.y);',
    '  result[t + 2] = u32(t_3.z);',
    '  result[t + 3] = u32(t_3.w);',
    '  let load_3 = given[thread];',
    '  result_2[thread + 3] = vec4<f32>(load_3.w, load_3.z, load_3.y, load_3.x);',
    '  result_3[t_2] = u32((given_3[thread] != 0u) & t_3.y);',
    '  result_2[thread] = vec4<f32>(load.x, load.z, load_2.y, load_2.w);',
  ])
})

test('an expression of constants alone is not left to the compiler of the module, which would refuse what overflows', () => {
  const d = dispatch((b, { group }) => b.store(1, group, 0, b.let(apply('mul', 'f32', f32(3e38), f32(10)))))
  assert.equal(bodyOf(d), ['  let c = 3e38;', '  let t = c * 10.0;', '  result[group] = t;'])
})

test('memory that is read and written has a storage barrier, too; a buffer may be bound for writing that is read only', () => {
  const d = dispatch((b, { group, thread }) => {
    b.changes(1)
    b.store(1, thread, 0, b.load('f32', 0, thread))
    b.barrier()
    b.store(1, group, 0, b.load('f32', 1, i32(5)))
  })
  assert.equal(bodyOf(d).filter(l => l.includes('arrier')), ['  storageBarrier();'])
  const { code, bindings } = printDispatch(d, plain, () => 'f32', 0, new Set([0]))
  assert.equal(bindings.map(b => b.access), ['write', 'write'])
  assert.match(code, '@binding(0) var<storage, read_write>')
})

test('literals name their number with as few digits as they can', () => {
  const need = (helper: unknown): string => String(helper)
  const of = (x: number): string => literal('f32', x, need)
  assert.equal([0, 1, -2.5, 0.1, 1e30, 2 ** -126, 3.4028234663852886e38, 16777216, 1e-7].map(of), [
    '0.0', '1.0', '-2.5', '0.1', '1e30', '1.1754944e-38', '3.4028235e38', '16777216.0', '1e-7',
  ])
  assert.equal([-0, 2 ** -149, NaN, -Infinity].map(of), ['bitcast<f32>(0x80000000u)', 'bitcast<f32>(0x1u)', 'nan()', '-infinity()'])
  const words = new Float32Array(Uint32Array.from({ length: 20000 }, (_, i) => (i * 2654435761) >>> 0).buffer)
  for (const x of words) if (Math.abs(x) >= 2 ** -126 && Math.abs(x) < Infinity) assert.is(Math.fround(Number(of(x))), x)
  assert.equal([literal('i32', -2147483648, need), literal('u32', -1, need), literal('bool', 1, need)], ['-2147483648', '4294967295u', 'true'])
})

test('names are identifiers of their own', () => {
  assert.equal(['p.l1.weight', '3d', '', '__x__y', 'select#13'].map(identifier), ['p_l1_weight', 'v_3d', 'v', 'x_y', 'select_13'])
  const fresh = naming()
  assert.equal(['t', 't', 't_2', 't', 'for', 'exp_f32', 'target'].map(fresh), ['t', 't_2', 't_2_2', 't_3', 'for_2', 'exp_f32_2', 'target_2'])
})

test('of dispatches that differ in names alone the modules without notes are equal', () => {
  const one = (label: string): Dispatch => dispatch((b, { thread }) => b.store(7, thread, 0, b.load('f32', label === 'x' ? 3 : 4, thread)))
  assert.is(printDispatch(one('x'), plain, () => 'f32', 0).code, printDispatch(one('y'), plain, () => 'f32', 0).code)
})

test.run()
