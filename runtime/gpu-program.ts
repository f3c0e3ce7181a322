/**
 * The schema of a program's file for WebGPU (`*.webgpu.json` beside its WebAssembly modules): shaders, the buffers of the
 * device that they work on, and the list of dispatches that one call of the program is. The compiler writes it, the
 * WebGPU device reads it; both import this one place.
 */
import * as t from 'io-ts'

/** Raised whenever a file of an older version can no longer be run. */
export const gpuProgramVersion = 1

/** Where an array lies: a buffer of the device, by number, and the byte in it, a multiple of 256. */
export const Place = t.readonly(t.type({ slot: t.number, offset: t.number }))
export type Place = t.TypeOf<typeof Place>

/**
 * What a shader takes for granted that multiplies on tensor cores, by subgroup matrices: products of m x k by k x n in half precision to f32,
 * subgroups of so many threads, and bytes of workgroup memory.
 */
export const Matrices = t.readonly(t.type({ m: t.number, n: t.number, k: t.number, subgroup: t.number, bytes: t.number }))
export type Matrices = t.TypeOf<typeof Matrices>

/**
 * One shader, a whole WGSL module with the entry point `main`. Its storage buffers are @group(0) @binding(0), (1), ...; within loops the
 * counters, from the outside in, are uniforms `vec4<i32>` (x counts) at @group(1) @binding(0), (1), ..., with dynamic offsets.
 * Workgroups are numbered x + y * 65535. `places` are source lines, `models/x.ts:12:3`.
 * Memory of a workgroup that may be kept in half precision has elements of type `tile_t`, which the line `alias tile_t = f32;` defines.
 * A shader with `matrices` rounds what it multiplies to half precision: it is run only where that is asked for.
 */
export const Shader = t.readonly(t.intersection([
  t.type({ name: t.string, places: t.readonlyArray(t.string), code: t.string, threads: t.number }), t.partial({ matrices: Matrices }),
]))
export type Shader = t.TypeOf<typeof Shader>

/** Part of a buffer of the device as a shader sees it; `write` is read_write. */
export const Binding = t.readonly(t.type({ slot: t.number, offset: t.number, bytes: t.number, access: t.keyof({ read: null, write: null }) }))
export type Binding = t.TypeOf<typeof Binding>

export const DispatchInfo = t.readonly(t.type({ shader: t.number, groups: t.number, bindings: t.readonlyArray(Binding) }))
export type DispatchInfo = t.TypeOf<typeof DispatchInfo>

/**
 * A fused kernel: one of the `choices` that the device can run, the first of them unless it has measured another to be faster; where that is
 * `settled`, nothing is measured. FLOPs and bytes are of one execution.
 */
export type KernelStep = {
  readonly kind: 'kernel'
  readonly name: string
  readonly places: readonly string[]
  readonly flops: number
  readonly bytes: number
  readonly choices: readonly (readonly DispatchInfo[])[]
  readonly settled?: true
}
export type CopyStep = { readonly kind: 'copy'; readonly from: Place; readonly to: Place; readonly bytes: number }
/** The steps for counter = 0 .. size-1, in order. */
export type LoopStep = { readonly kind: 'loop'; readonly size: number; readonly steps: readonly GpuStep[] }
export type GpuStep = KernelStep | CopyStep | LoopStep

export const GpuStep: t.Type<GpuStep, GpuStep, unknown> = t.recursion('GpuStep', () =>
  t.union([
    t.intersection([
      t.type({
        kind: t.literal('kernel'), name: t.string, places: t.readonlyArray(t.string), flops: t.number, bytes: t.number,
        choices: t.readonlyArray(t.readonlyArray(DispatchInfo)),
      }),
      t.partial({ settled: t.literal(true) }),
    ]),
    t.type({ kind: t.literal('copy'), from: Place, to: Place, bytes: t.number }),
    t.type({ kind: t.literal('loop'), size: t.number, steps: t.readonlyArray(GpuStep) }),
  ]))

/**
 * The whole file. `slots`: bytes of every buffer of the device, multiples of 256. `inputs` and `outputs` are places of the
 * program's arrays, in the order of its manifest entry; an output that takes the place of an input has that one's place.
 * Nothing but the constants has to be written before the first call besides the inputs. bool and integers take four bytes.
 */
export const GpuProgram = t.readonly(
  t.type({
    version: t.literal(gpuProgramVersion),
    id: t.string,
    slots: t.readonlyArray(t.number),
    inputs: t.readonlyArray(Place),
    outputs: t.readonlyArray(Place),
    constants: t.readonlyArray(t.readonly(t.intersection([
      Place, t.type({ dtype: t.keyof({ f32: null, i32: null, u32: null, bool: null }), data: t.readonlyArray(t.union([t.number, t.string])) }),
    ]))),
    shaders: t.readonlyArray(Shader),
    steps: t.readonlyArray(GpuStep),
  }),
)
export type GpuProgram = t.TypeOf<typeof GpuProgram>
