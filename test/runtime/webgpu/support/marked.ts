/** A program by hand whose one kernel can be run on tensor cores, first of all, or without. */
import { place, shader, write, writes } from './programs.ts'

const plain = shader('plain', { to: 'w f32' }, 'to[i] = 1.0;')
const code = `enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
@group(0) @binding(0) var<storage, read_write> to: array<f32>;
var<workgroup> tile: array<f16, 256>;
@compute @workgroup_size(128)
fn main(@builtin(local_invocation_index) local_index: u32) {
  tile[local_index] = 1.0h;
  tile[local_index + 128] = 1.0h;
  workgroupBarrier();
  let a = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, col_major>(&tile, 0, 16);
  let b = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tile, 0, 16);
  var c = subgroup_matrix_result<f32, 16, 16>();
  c = subgroupMatrixMultiplyAccumulate(a, b, c);
  subgroupMatrixStore<row_major>(&to, 0, c, 16);
}`
const marked = { name: 'marked', places: ['model.ts:3:5'], code, threads: 128, matrices: { m: 16, n: 16, k: 16, subgroup: 32, bytes: 512 } }

const bytes = 1024
const arrays = { out: { place: place(0), shape: [256] } }

/** With `mayRun`, nothing but its mark keeps the shader for tensor cores from being run anywhere. */
export const choosingOf = (mayRun: boolean) => write({
  id: 'hand/marked', slots: [bytes], inputs: {}, outputs: arrays,
  shaders: [mayRun ? { ...marked, code: shader('marked', { to: 'w f32' }, 'to[i] = 2.0;').code } : marked, plain],
  steps: [{
    kind: 'kernel', name: 'k', places: ['model.ts:3:5'], flops: 0, bytes: 0,
    choices: [0, 1].map(number => [{ shader: number, groups: 4, bindings: [writes(0, bytes)] }]),
  }],
})
export const choosing = choosingOf(false)
