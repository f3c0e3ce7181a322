/** Programs for WebGPU written by hand: arrays by path, shaders as WGSL bodies, steps. */
import { gpuProgramVersion, type Binding, type GpuProgram, type GpuStep, type Place } from '../../../../runtime/gpu-program.ts'
import type { ProgramInfo, Slot } from '../../../../runtime/manifest.ts'

type DType = Slot['dtype']
export type Arrays = Readonly<Record<string, { readonly place: Place; readonly shape: readonly number[]; readonly dtype?: DType }>>

const slotsOf = (arrays: Arrays): readonly Slot[] => Object.entries(arrays).map(([path, { shape, dtype = 'f32' }]) => ({ path, shape, dtype, offset: 0 }))

export const place = (slot: number, offset = 0): Place => ({ slot, offset })
export const reads = (slot: number, bytes: number, offset = 0): Binding => ({ slot, offset, bytes, access: 'read' })
export const writes = (slot: number, bytes: number, offset = 0): Binding => ({ slot, offset, bytes, access: 'write' })

/** A kernel of one dispatch: shader number, workgroups, bindings. */
export const kernel = (name: string, shader: number, groups: number, bindings: readonly Binding[]): GpuStep =>
  ({ kind: 'kernel', name, places: ['model.ts:3:5'], flops: 0, bytes: 0, choices: [[{ shader, groups, bindings }]] })

/** `body` for thread i of all; buffers are declared as `r` (read) or `w` (read_write) of a type: `{ a: 'r f32' }`; counters as c0, c1. */
export const shader = (name: string, buffers: Readonly<Record<string, string>>, body: string, counters = 0): GpuProgram['shaders'][number] => ({
  name, places: ['model.ts:3:5'], threads: 64,
  code: [
    ...Object.entries(buffers).map(([id, type], i) =>
      `@group(0) @binding(${i}) var<storage, ${type.startsWith('w') ? 'read_write' : 'read'}> ${id}: array<${type.slice(2)}>;`),
    ...Array.from({ length: counters }, (_, i) => `@group(1) @binding(${i}) var<uniform> c${i}: vec4<i32>;`),
    '@compute @workgroup_size(64)',
    'fn main(@builtin(global_invocation_id) id: vec3<u32>) {',
    '  let i = id.x;',
    ...body.split('\n').map(line => `  ${line}`),
    '}',
  ].join('\n'),
})

export type Parts = {
  readonly id?: string
  readonly slots: readonly number[]
  readonly inputs: Arrays
  readonly outputs: Arrays
  readonly constants?: GpuProgram['constants']
  readonly shaders: GpuProgram['shaders']
  readonly steps: readonly GpuStep[]
}

export type Written = { readonly info: ProgramInfo; readonly file: GpuProgram }

export const write = ({ id = 'hand/made', slots, inputs, outputs, constants = [], shaders, steps }: Parts): Written => ({
  info: {
    id, file: 'hand.ts', line: 1, config: {}, signature: '', parameters: [], inputs: slotsOf(inputs), outputs: slotsOf(outputs),
    modules: { simd: 'x.wasm', fma: 'x.wasm' }, memoryBytes: 0, threadBytes: 0, sync: 0, threads: 1, hash: '', kernels: [],
    stats: { kernelsBefore: 0, kernelsAfter: 0, flops: 0, bytes: 0, peakBytes: 0, buffers: 0 },
  },
  file: {
    version: gpuProgramVersion, id, slots, inputs: Object.values(inputs).map(array => array.place), outputs: Object.values(outputs).map(array => array.place),
    constants, shaders, steps,
  },
})
