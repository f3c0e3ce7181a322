/**
 * The schema of a program's file for WebGL (`*.webgl.json` beside its WebAssembly modules): kernels as source text of gpu.js,
 * the arrays between them, and the list of kernels that one call of the program is. The compiler writes it, the WebGL
 * device reads it; both import this one place.
 *
 * A kernel makes one whole array: each of its elements computes itself. Arrays lie in textures of one f32 a texel, `texelsOf`
 * of them: f32 as it is, bool as 0 or 1, and each i32 and u32 in two neighbouring texels, the lower 16 bits first, since
 * f32 holds 24 bits of an integer.
 */
import * as t from 'io-ts'

/** Raised whenever a file of an older version can no longer be run. */
export const glProgramVersion = 1

const GlDType = t.keyof({ f32: null, i32: null, u32: null, bool: null })

export const GlArray = t.readonly(t.type({ name: t.string, dtype: GlDType, elements: t.number }))
export type GlArray = t.TypeOf<typeof GlArray>

/** Texels of an array. */
export const texelsOf = ({ dtype, elements }: GlArray): number => (dtype === 'i32' || dtype === 'u32' ? 2 * elements : elements)

/** A function in gpu.js's language that kernels call: it takes numbers and returns one, all f32. The same name is the same function in every file. */
export const GlFunction = t.readonly(t.type({ name: t.string, parameters: t.number, code: t.string, calls: t.readonlyArray(t.string) }))
export type GlFunction = t.TypeOf<typeof GlFunction>

/**
 * A kernel: the text of a function whose parameters are arrays, of `inputs` texels each, and then the counters of the loops
 * around it, from the outside in. It is run for this.thread.x = 0 .. texels-1. `functions`: by name, those that it calls itself.
 * Besides these it calls natives (device/webgl/natives.ts). `places` are source lines, `models/x.ts:12:3`.
 */
export const GlKernel = t.readonly(t.type({
  name: t.string, places: t.readonlyArray(t.string), code: t.string, inputs: t.readonlyArray(t.number), counters: t.number, texels: t.number,
  functions: t.readonlyArray(t.string),
}))
export type GlKernel = t.TypeOf<typeof GlKernel>

/** A kernel by number, the arrays that it reads and the one that it makes anew, by number. It may read the array that it makes: as it was before. */
export const GlRun = t.readonly(t.type({ kernel: t.number, inputs: t.readonlyArray(t.number), output: t.number }))
export type GlRun = t.TypeOf<typeof GlRun>

/** A fused kernel of the program: all of its runs see the arrays as they were before the first. FLOPs and bytes are of one execution. */
export type GlKernelStep = {
  readonly kind: 'kernel'
  readonly name: string
  readonly places: readonly string[]
  readonly flops: number
  readonly bytes: number
  readonly runs: readonly GlRun[]
}
export type GlCopyStep = { readonly kind: 'copy'; readonly from: number; readonly to: number }
/** The steps for counter = 0 .. size-1, in order. */
export type GlLoopStep = { readonly kind: 'loop'; readonly size: number; readonly steps: readonly GlStep[] }
export type GlStep = GlKernelStep | GlCopyStep | GlLoopStep

export const GlStep: t.Type<GlStep, GlStep, unknown> = t.recursion('GlStep', () =>
  t.union([
    t.type({
      kind: t.literal('kernel'), name: t.string, places: t.readonlyArray(t.string), flops: t.number, bytes: t.number, runs: t.readonlyArray(GlRun),
    }),
    t.type({ kind: t.literal('copy'), from: t.number, to: t.number }),
    t.type({ kind: t.literal('loop'), size: t.number, steps: t.readonlyArray(GlStep) }),
  ]))

/**
 * The whole file. `inputs` and `outputs` are the program's arrays by number, in the order of its manifest entry; an output that
 * takes the place of an input is that input's array. An array that is read before anything has written it is all zeros.
 */
export const GlProgram = t.readonly(
  t.type({
    version: t.literal(glProgramVersion),
    id: t.string,
    arrays: t.readonlyArray(GlArray),
    inputs: t.readonlyArray(t.number),
    outputs: t.readonlyArray(t.number),
    constants: t.readonlyArray(t.readonly(t.type({ array: t.number, data: t.readonlyArray(t.union([t.number, t.string])) }))),
    functions: t.readonlyArray(GlFunction),
    kernels: t.readonlyArray(GlKernel),
    steps: t.readonlyArray(GlStep),
  }),
)
export type GlProgram = t.TypeOf<typeof GlProgram>
