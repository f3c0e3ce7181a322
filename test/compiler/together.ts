/**
 * Many functions compiled into one program, for tests of kernels at many sizes: its results are compared with the float64
 * meaning, and all of its memory, bit by bit, between 1, 2, 3 and 5 threads and between a first and a second run.
 */
import * as assert from 'uvu/assert'
import { plan as planOf } from '../../compiler/fuse/plan.ts'
import { builder } from '../../compiler/ir/build.ts'
import { interpret } from '../../compiler/ir/interpret.ts'
import type { Func } from '../../compiler/ir/ir.ts'
import { printFunc } from '../../compiler/ir/print.ts'
import { avalsOf, at, count } from '../../compiler/ir/view.ts'
import type { Plan } from '../../compiler/schedule/kernel/kernel.ts'
import { bytesOf, planMemory } from '../../compiler/schedule/memory.ts'
import { nanoseconds, statsOf } from '../../compiler/schedule/kernel/stats.ts'
import { compileWasm, type Module } from '../../compiler/targets/wasm/index.ts'
import { optimise } from '../../compiler/transform/passes.ts'
import { type Dense, dense } from '../../dsl/core/dense.ts'
import type { DType } from '../../dsl/core/prim.ts'
import { checkThreads, load, type Running } from './parallel.ts'

export type Case = { readonly name: string; readonly func: Func; readonly args: readonly Dense[] }

/** The unit roundoff of float32. */
const roundoff = 2 ** -24
const dear = new Set(['exp', 'log', 'log1p', 'expm1', 'rsqrt', 'sin', 'cos', 'tanh', 'sigmoid', 'softplus', 'pow', 'div', 'sqrt'])

/** For each operation that rounds more than once: the square root of its number of terms, if it is a sum, else a constant. */
const growths = (func: Func): readonly number[] => {
  const avals = avalsOf(func)
  const elements = (id: number): number => count(avals.get(id)!.shape)
  return func.insts.flatMap(inst => {
    if (inst.kind === 'scan') return Array.from({ length: inst.length }, () => growths(inst.body)).flat()
    if (inst.prim === 'sum') return [Math.sqrt(elements(at(inst.inputs, 0)) / Math.max(1, count(inst.aval.shape)))]
    if (inst.prim === 'contract') {
      const { sizes, out } = inst.attrs
      return [Math.sqrt(Object.entries(sizes).reduce((n, [label, size]) => (out.includes(label) ? n : n * size), 1))]
    }
    return dear.has(inst.prim) ? [4] : []
  })
}
/**
 * How far float32 may be from float64, relative to a result's largest element: the rounding errors of a sum of n terms are
 * independent and grow like the square root of n, each function adds a few, and so does every pass through a loop.
 */
const toleranceOf = (func: Func): number => roundoff * (8 + 2 * growths(func).reduce((x, y) => x + y, 0))
/** The size of what a function computes on the way, at least: arguments are about 1, sums of n of them about the square root of n. */
const sizeOf = (func: Func): number => Math.max(1, ...growths(func))

/** Where two results differ by more than the tolerance; '' where they do not. */
const disagreement = (want: Dense, got: ArrayLike<number>, tolerance: number, least = 1): string => {
  const scale = Array.from(want.data).reduce((m, x) => (Number.isFinite(x) ? Math.max(m, Math.abs(x)) : m), least)
  for (let i = 0; i < want.data.length; i += 1) {
    const [x, y] = [want.data[i]!, got[i]!]
    if (Object.is(x, y) || x === y || Math.abs(x - y) <= tolerance * scale) continue
    return `element ${i} of ${want.dtype}[${want.shape.join(', ')}] is ${y}, not ${x} (largest ${scale})`
  }
  return ''
}

type View = Float32Array | Int32Array | Uint32Array
const views: { readonly [D in DType]: new (buffer: ArrayBufferLike, offset: number, length: number) => View } =
  { f32: Float32Array, i32: Int32Array, u32: Uint32Array, bool: Uint32Array }
/** The argument as float32 holds it, so that both sides start from the same numbers. */
export const rounded = (a: Dense): Dense => (a.dtype === 'f32' ? dense(a.shape, Float64Array.from(Float32Array.from(a.data)), 'f32') : a)

/** How many runs of kernels of a plan are worth cutting into parts. */
export const cutKernels = (plan: Plan): number => statsOf(plan).reduce((n, s) => n + (nanoseconds(s.kernel, plan) >= 16_000 ? s.runs : 0), 0)

/** For how many threads a program has use, and how many runs of its kernels are worth cutting. */
export type Checked = { readonly threads: number; readonly cut: number }

/** The functions side by side, in one. */
export const together = (cases: readonly Case[]): Func => {
  const b = builder()
  const results = cases.map(({ func }) => b.inline(func, func.params.map(p => b.param(p.aval, p.path))))
  return b.finish(results.flat())
}

/** A plan with its inputs, ready to run on several threads. */
export type Prepared = {
  readonly module: Module
  readonly running: Running
  /** Whose byte of the memory that is. */
  readonly place: (byte: number) => string
  /** An input or output in the memory of the program. */
  readonly read: (memory: ArrayBufferLike, role: 'input' | 'output', index: number) => View
}

/** Schedules a plan; what comes back loads one of its two variants, one at a time. */
export const prepare = (plan: Plan, args: readonly Dense[]): ((fma: boolean) => Prepared) => {
  const { offsets, bytes } = planMemory(plan)
  const { module: emit, ...sizes } = compileWasm(plan, offsets, bytes)
  const view = (memory: ArrayBufferLike, id: number): View => {
    const { dtype, shape } = plan.buffers[id]!.aval
    return new views[dtype](memory, offsets[id]!, count(shape))
  }
  return fma => {
    const module = { bytes: emit({ fma }), ...sizes }
    const running = load(module, memory => {
      for (const b of plan.buffers) if (b.role.kind === 'input') view(memory, b.id).set(at(args, b.role.index).data)
    })
    return {
      module,
      running,
      place: byte =>
        plan.buffers.filter(b => offsets[b.id]! <= byte && byte < offsets[b.id]! + bytesOf(b)).map(b => `(${b.name}, ${b.role.kind})`).join(' '),
      read: (memory, role, index) => view(memory, plan.buffers.find(b => b.role.kind === role && b.role.index === index)!.id),
    }
  }
}

/**
 * Compiles all cases into one program, in both variants: its results are right, and the same bits on any number of threads.
 * `change` may do something to the plan before that.
 */
export const checkTogether = (cases: readonly Case[], change: (plan: Plan) => Plan = plan => plan): Checked => {
  const plan = change(planOf(optimise(together(cases))))
  const args = cases.map(c => c.args.map(rounded))
  const given = args.flat()
  const expected = cases.map((c, i) => interpret(c.func, args[i]!))
  const prepared = prepare(plan, given)
  const threads = [false, true].map(fma => {
    const { module, running, place, read } = prepared(fma)
    const { buffer } = checkThreads(`${cases.map(c => c.name).join('; ')}${fma ? ' (fma)' : ''}`, running, place)
    given.forEach((arg, i) => assert.is(disagreement(arg, read(buffer, 'input', i), 0), '', 'an input is changed'))
    let index = 0
    cases.forEach((c, i) => expected[i]!.forEach((want, k) => {
      const found = disagreement(want, read(buffer, 'output', index++), toleranceOf(c.func), sizeOf(c.func))
      if (found !== '') assert.unreachable(`${c.name}${fma ? ' (fma)' : ''}: result ${k}: ${found}\n${printFunc(c.func)}`)
    }))
    return module.threads
  })
  return { threads: Math.min(...threads), cut: cutKernels(plan) }
}
