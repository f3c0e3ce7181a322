/** Programs for WebGL written by hand, for tests of the device alone, and a host that has them and no files. */
import * as O from 'fp-ts/lib/Option.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Failure } from '../../../../dsl/errors.ts'
import type { Host } from '../../../../runtime/device/host.ts'
import { GlProgram, glProgramVersion, type GlArray, type GlKernel, type GlStep } from '../../../../runtime/gl-program.ts'
import { crc32 } from '../../../../runtime/io/crc32.ts'
import { manifestFile, manifestVersion, printManifest, type ProgramInfo, type Slot } from '../../../../runtime/manifest.ts'

type Hand = {
  readonly id: string
  /** Shapes are of one dimension. */
  readonly arrays: Readonly<Record<string, readonly [dtype: GlArray['dtype'], elements: number]>>
  readonly inputs: readonly string[]
  /** Results by name, `name=array`. */
  readonly outputs: readonly string[]
  readonly constants?: Readonly<Record<string, readonly number[]>>
  readonly functions?: GlProgram['functions']
  readonly kernels: readonly (Pick<GlKernel, 'code'> & Partial<GlKernel> & { readonly reads: readonly string[]; readonly makes: string })[]
  /** Steps by kernel number; a list is one step whose runs see the same arrays. */
  readonly steps: readonly HandStep[]
}
export type HandStep =
  | number | readonly number[] | { readonly copy: readonly [from: string, to: string] } | { readonly times: number; readonly steps: readonly HandStep[] }

const texels = (array: readonly [string, number] | undefined): number => (array?.[0] === 'i32' || array?.[0] === 'u32' ? 2 : 1) * (array?.[1] ?? 0)

export type Made = { readonly info: ProgramInfo; readonly file: GlProgram; readonly content: Uint8Array }

export const byHand = ({ id, arrays, inputs, outputs, constants = {}, functions = [], kernels, steps }: Hand): Made => {
  const names = Object.keys(arrays)
  const at = (name: string): number => names.indexOf(name)
  const run = (kernel: number) => ({ kernel, inputs: (kernels[kernel]?.reads ?? []).map(at), output: at(kernels[kernel]?.makes ?? '') })
  const step = (one: HandStep): GlStep => {
    if (typeof one === 'number') return step([one])
    if ('copy' in one) return { kind: 'copy', from: at(one.copy[0]), to: at(one.copy[1]) }
    if ('times' in one) return { kind: 'loop', size: one.times, steps: one.steps.map(step) }
    return { kind: 'kernel', name: `step ${one.join(' ')}`, places: ['hand.ts:1:1'], flops: 0, bytes: 0, runs: one.map(run) }
  }
  const parts = outputs.map(output => output.split('='))
  const slot = (path: string, name: string): Slot => ({ path, shape: [arrays[name]?.[1] ?? 0], dtype: arrays[name]?.[0] ?? 'f32', offset: 0 })
  const file: GlProgram = {
    version: glProgramVersion, id, arrays: names.map(name => ({ name, dtype: arrays[name]?.[0] ?? 'f32', elements: arrays[name]?.[1] ?? 0 })),
    inputs: inputs.map(at), outputs: parts.map(([, array = '']) => at(array)),
    constants: Object.entries(constants).map(([name, data]) => ({ array: at(name), data: data.map(x => (Number.isFinite(x) ? x : String(x))) })),
    functions,
    kernels: kernels.map(({ reads, makes, ...kernel }, i) => ({
      name: `kernel ${i}`, places: ['hand.ts:1:1'], inputs: reads.map(name => texels(arrays[name])), counters: 0, texels: texels(arrays[makes]),
      functions: [], ...kernel,
    })),
    steps: steps.map(step),
  }
  const content = new TextEncoder().encode(JSON.stringify(GlProgram.encode(file)))
  const name = `${id.replaceAll('/', '-')}.webgl.json`
  const info: ProgramInfo = {
    id, file: 'hand.ts', line: 1, config: {}, signature: '', parameters: [], inputs: inputs.map(path => slot(path, path)),
    outputs: parts.map(([path = '', array = '']) => slot(path, array)), modules: { simd: '', fma: '' }, memoryBytes: 0, threadBytes: 0, sync: 0, threads: 1,
    hash: '', kernels: [], stats: { kernelsBefore: 0, kernelsAfter: 0, flops: 0, bytes: 0, peakBytes: 0, buffers: 0 },
    webgl: { file: name, checksum: crc32(content) },
  }
  return { info, file, content }
}

/** The files of a build that holds these programs alone. */
export const filesOf = (programs: readonly Made[]): ReadonlyMap<string, Uint8Array> => new Map([
  [manifestFile, new TextEncoder().encode(printManifest({ version: manifestVersion, root: '.', programs: programs.map(({ info }) => info) }))],
  ...programs.map(({ info, content }) => [info.webgl !== undefined && 'file' in info.webgl ? info.webgl.file : '', content] as const),
])

/** A host like another, which reads these files. */
export const hostOf = (host: Host, files: ReadonlyMap<string, Uint8Array>): Host => ({
  ...host, where: 'by hand',
  read: name => TE.fromOption((): Failure => ({ kind: 'file', path: name, message: 'there is none' }))(O.fromNullable(files.get(name))),
})

/** x becomes 2 x + y in `twice`; `sum` is what was added in `times` turns, beginning anew in each call. */
export const chain = byHand({
  id: 'hand/chain', arrays: { x: ['f32', 7], y: ['f32', 1], between: ['f32', 7], twice: ['f32', 7], sum: ['f32', 3] },
  inputs: ['x', 'y'], outputs: ['twice=twice', 'sum=sum'],
  functions: [{ name: 'two_times', parameters: 1, code: 'function two_times(v) { return v * 2.0; }', calls: [] }],
  kernels: [
    { code: 'function (x) { const i = this.thread.x; return two_times(x[i]); }', reads: ['x'], makes: 'between', functions: ['two_times'] },
    { code: 'function (a, y) { const i = this.thread.x; return a[i] + y[0]; }', reads: ['between', 'y'], makes: 'twice' },
    { code: 'function () { return 0; }', reads: [], makes: 'sum' },
    // A partial store: one element, the others are passed on.
    { code: 'function (x, sum, c0, c1) { const i = this.thread.x; if (i === c0) { return sum[i] + x[c1] * (c0 + 1); } return sum[i]; }',
      reads: ['x', 'sum'], makes: 'sum', counters: 2 },
  ],
  steps: [0, 1, 2, { times: 3, steps: [{ times: 7, steps: [3] }] }],
})

/** A state that steps forward; two runs of one step that exchange arrays. */
export const exchange = byHand({
  id: 'hand/exchange', arrays: { a: ['f32', 4], b: ['f32', 4], kept: ['f32', 4] }, inputs: ['a', 'b'], outputs: ['a=a', 'b=b', 'kept=kept'],
  kernels: [
    { code: 'function (b) { return b[this.thread.x] + 1; }', reads: ['b'], makes: 'a' },
    { code: 'function (a) { return a[this.thread.x] + 10; }', reads: ['a'], makes: 'b' },
  ],
  steps: [{ copy: ['a', 'kept'] }, [0, 1]],
})

/** Words of 32 bits: a product and a shift modulo 2^32, i32 and bool beside it. */
export const words = byHand({
  id: 'hand/words', arrays: { u: ['u32', 5], i: ['i32', 5], mixed: ['u32', 5], less: ['bool', 5], back: ['i32', 5] },
  inputs: ['u', 'i'], outputs: ['mixed=mixed', 'less=less', 'back=back'],
  kernels: [
    { code: `function (u) { let n = 0; let w = 0; let half = 0; n++; w++; half++; const i = this.thread.x; n = int_div(i, 2); half = int_rem(i, 2);
        w = word(u[n * 2], u[n * 2 + 1]); w = word_mul(w, -1640531527); w = word_xor(w, uint_shift_right(w, 15));
        if (half === 0) { return low(w); } return high(w); }`, reads: ['u'], makes: 'mixed' },
    { code: `function (u, i) { let w = 0; let v = 0; w++; v++; const n = this.thread.x; w = word(u[n * 2], u[n * 2 + 1]); v = word(i[n * 2], i[n * 2 + 1]);
        if (uint_less(w, v)) { return 1; } return 0; }`, reads: ['u', 'i'], makes: 'less' },
    { code: `function (i) { let n = 0; let w = 0; let half = 0; n++; w++; half++; const t = this.thread.x; n = int_div(t, 2); half = int_rem(t, 2);
        w = word(i[n * 2], i[n * 2 + 1]); w = int_div(w, -3);
        if (half === 0) { return low(w); } return high(w); }`, reads: ['i'], makes: 'back' },
  ],
  steps: [0, 1, 2],
})

/** A long loop within a kernel, constants, and what is not finite. */
export const long = byHand({
  id: 'hand/long', arrays: { x: ['f32', 3000], c: ['f32', 4], sum: ['f32', 2], same: ['f32', 4] }, inputs: ['x'], outputs: ['sum=sum', 'same=same'],
  constants: { c: [1.5, Infinity, -Infinity, NaN] },
  kernels: [
    { code: `function (x) { const i = this.thread.x; let acc = 0.5; for (let r = 0; r < 3000; r++) { acc = acc + x[r] * (i + 1); }
        return acc - 0.5; }`, reads: ['x'], makes: 'sum' },
    { code: 'function (c) { return c[this.thread.x]; }', reads: ['c'], makes: 'same' },
  ],
  steps: [0, 1],
})

/** Reads parameters, as a program that shares the arrays of another does. */
export const reader = byHand({
  id: 'hand/reader', arrays: { p: ['f32', 4], q: ['f32', 4], out: ['f32', 4] }, inputs: ['p', 'q'], outputs: ['out=out'],
  kernels: [{ code: 'function (p, q) { return p[this.thread.x] * 100 + q[this.thread.x]; }', reads: ['p', 'q'], makes: 'out' }],
  steps: [0],
})

export const all = [chain, exchange, words, long, reader]

/** A kernel that no driver compiles. */
export const broken = byHand({
  id: 'hand/broken', arrays: { x: ['f32', 3], y: ['f32', 3] }, inputs: ['x'], outputs: ['y=y'],
  functions: [{ name: 'double', parameters: 1, code: 'function double(v) { return v * 2.0; }', calls: [] }],
  kernels: [{ name: 'twice', code: 'function (x) { return double(x[this.thread.x]); }', reads: ['x'], makes: 'y', functions: ['double'] }],
  steps: [0],
})

/** An array that is larger than any texture. */
export const large = byHand({
  id: 'hand/large', arrays: { x: ['f32', 3], 'bank of sprites': ['i32', 2 ** 29] }, inputs: ['x'], outputs: ['y=x'], kernels: [], steps: [],
})

const { webgl: _, ...chainInfo } = chain.info
/** Programs whose manifest says why there is no WebGL, or nothing of it. */
export const without: readonly Made[] = [
  { ...chain, info: { ...chainInfo, id: 'hand/obstacle', webgl: { obstacle: 'kernel 3 (a.ts:1:2) reads 9 arrays' } } },
  { ...chain, info: { ...chainInfo, id: 'hand/none' } },
]

const wideTexels = 3_000_017
/** Arrays as large as they come in small programs, of a size that has no divisors: each element is its own number, and then again from the end. */
export const wide = byHand({
  id: 'hand/wide', arrays: { x: ['f32', 1], up: ['f32', wideTexels], down: ['f32', wideTexels] }, inputs: ['x'], outputs: ['down=down'],
  kernels: [
    { code: 'function (x) { return this.thread.x + x[0]; }', reads: ['x'], makes: 'up' },
    { code: `function (up) { return up[${wideTexels - 1} - this.thread.x]; }`, reads: ['up'], makes: 'down' },
  ],
  steps: [0, 1],
})

/** Arrays without elements, and a result that nothing writes. */
export const empty = byHand({
  id: 'hand/empty', arrays: { x: ['f32', 0], y: ['f32', 0], z: ['i32', 3] }, inputs: ['x'], outputs: ['y=y', 'z=z'],
  kernels: [{ code: 'function (x) { return x[this.thread.x] + 1; }', reads: ['x'], makes: 'y' }],
  steps: [0],
})
