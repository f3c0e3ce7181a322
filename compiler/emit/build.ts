/** One program, from optimised IR to everything that is written about it: modules, the files for WebGPU and WebGL, manifest entry, plans. */
import { Refusal } from '../../dsl/errors.ts'
import { crc32 } from '../../runtime/io/crc32.ts'
import { GpuProgram } from '../../runtime/gpu-program.ts'
import { GlProgram } from '../../runtime/gl-program.ts'
import type { ProgramInfo, Slot } from '../../runtime/manifest.ts'
import { kernels as makeKernels } from '../fuse/plan.ts'
import { rows } from '../fuse/rows.ts'
import { roles } from '../fuse/decide.ts'
import type { Func, Origin, Program } from '../ir/ir.ts'
import type { Plan } from '../schedule/kernel/kernel.ts'
import { type Memory, planMemory } from '../schedule/memory.ts'
import { kernelsOf, statsOf } from '../schedule/kernel/stats.ts'
import { compileWasm } from '../targets/wasm/index.ts'
import { type Compiled as Gpu, TooLarge, compileGpu } from '../targets/wgsl/program.ts'
import { type Kernels, kernels as remembered } from '../targets/wgsl/kernels.ts'
import { type Gathers, gathers } from '../targets/webgl/gathers.ts'
import { TooLarge as TooLargeForGl, compileGl } from '../targets/webgl/program.ts'
import { headOf, signature } from './bindings.ts'

export const targets = ['wasm', 'webgpu', 'webgl'] as const
/** What a program is compiled for; for WebAssembly always. */
export type Target = (typeof targets)[number]

export type Built = {
  readonly info: ProgramInfo
  readonly func: Func
  readonly plan: Plan
  /** The plan before kernels are gathered by rows: what WebGPU and WebGL are given. */
  readonly kernels: Plan
  readonly memory: Memory
  /** What was made for WebGPU: null where that was not asked for, and words that say why where it cannot be. */
  readonly gpu: Gpu | string | null
  /** The same for WebGL. */
  readonly gl: GlProgram | string | null
  /** Names in the build folder, with contents. */
  readonly files: readonly (readonly [name: string, content: Uint8Array])[]
}

/** Kernels if every operation that computes were one: what a library of operators would launch. */
const unfused = (func: Func, runs = 1): number =>
  func.insts.reduce((n, inst) => {
    if (inst.kind === 'scan') return n + unfused(inst.body, runs * inst.length)
    return ['view', 'leaf'].includes(roles[inst.prim]) ? n : n + runs
  }, 0)

const placeOf = (o: Origin): string => `${o.file}:${o.line}:${o.column}`

/**
 * The name of a program's modules in the build folder, without ending. The hash in it lets a compile write beside what is
 * there: a manifest never names modules of another compile.
 */
export const moduleName = (id: string, hash: string): string => `${id.replaceAll('/', '.')}.${hash.slice(0, 8)}`

const gpuOf = (id: string, plan: Plan, make: Kernels): Gpu | string => {
  try {
    return compileGpu(id, plan, { packed: true }, make)
  } catch (error) {
    if (error instanceof TooLarge) return error.message
    throw error
  }
}

const glOf = (id: string, plan: Plan, make: Gathers): GlProgram | string => {
  try {
    return compileGl(id, plan, make)
  } catch (error) {
    if (error instanceof TooLargeForGl) return error.message
    if (error instanceof Refusal && error.failure.kind === 'limit') return `${error.failure.what}: ${error.failure.message}`
    throw error
  }
}

const bytesOfText = (text: string): Uint8Array => new TextEncoder().encode(text)

/** What programs of one compile share: kernels and gathers that were made before. */
export type Shared = { readonly kernels: Kernels; readonly gathers: Gathers }
export const shared = (): Shared => ({ kernels: remembered(), gathers: gathers() })

/** `make`: a build does not depend on it. */
export const build = (id: string, program: Program, hash: string, wanted: readonly Target[] = targets, make: Shared = shared()): Built => {
  const { func } = program
  const kernels = makeKernels(func, program.updates)
  const plan = rows(kernels)
  const gpu = wanted.includes('webgpu') ? gpuOf(id, kernels, make.kernels) : null
  const gl = wanted.includes('webgl') ? glOf(id, kernels, make.gathers) : null
  const memory = planMemory(plan)
  const slot = (index: number, role: 'input' | 'output', path: string): Slot => {
    const buffer = plan.buffers.find(b => b.role.kind === role && b.role.index === index)!
    return { path, shape: buffer.aval.shape, dtype: buffer.aval.dtype, offset: memory.offsets[buffer.id]! }
  }
  const inputs = func.params.map((p, i) => slot(i, 'input', p.path))
  const outputs = program.outputs.map((path, i) => slot(i, 'output', path))
  const wasm = compileWasm(plan, memory.offsets, memory.bytes)
  const [simd, fma] = [wasm.module({ fma: false }), wasm.module({ fma: true })]
  const stats = statsOf(plan)
  const total = (of: 'flops' | 'bytes'): number => stats.reduce((n, s) => n + s.runs * s[of], 0)
  const name = moduleName(id, hash)
  const modules = { simd: `${name}.wasm`, fma: `${name}.fma.wasm` }
  const textOf = ({ program: made }: Gpu): Uint8Array => bytesOfText(JSON.stringify(GpuProgram.encode(made)))
  const webgpu = gpu === null || typeof gpu === 'string' ? [] : [{ file: `${name}.webgpu.json`, content: textOf(gpu) }]
  const textOfGl = (made: GlProgram): Uint8Array => bytesOfText(JSON.stringify(GlProgram.encode(made)))
  const webgl = gl === null || typeof gl === 'string' ? [] : [{ file: `${name}.webgl.json`, content: textOfGl(gl) }]
  const glEntry = webgl.map(({ file, content }) => ['webgl', { file, checksum: crc32(content) }] as const)
  return {
    func,
    plan,
    kernels,
    memory,
    gpu,
    gl,
    files: [[modules.simd, simd], [modules.fma, fma], ...[...webgpu, ...webgl].map(({ file, content }) => [file, content] as const)],
    info: {
      id,
      file: program.file,
      line: program.line,
      config: program.config,
      signature: signature(inputs, outputs),
      parameters: [...new Set(inputs.map(s => headOf(s.path)))],
      inputs,
      outputs,
      modules,
      checksums: { simd: crc32(simd), fma: crc32(fma) },
      ...Object.fromEntries(webgpu.map(({ file, content }) => ['webgpu', { file, checksum: crc32(content) }])),
      ...(typeof gl === 'string' ? { webgl: { obstacle: gl } } : Object.fromEntries(glEntry)),
      memoryBytes: wasm.memoryBytes,
      threadBytes: wasm.threadBytes,
      sync: wasm.sync,
      threads: wasm.threads,
      hash,
      kernels: stats.map(s => ({
        name: s.kernel.name, places: [...new Set(s.kernel.origins.map(placeOf))], flops: s.flops, work: s.work, bytes: s.bytes, step: s.step, count: s.runs,
      })),
      stats: {
        kernelsBefore: unfused(func), kernelsAfter: kernelsOf(plan.steps),
        flops: total('flops'), bytes: total('bytes'), peakBytes: memory.bytes, buffers: memory.offsets.filter(o => o >= 0).length,
      },
    },
  }
}
