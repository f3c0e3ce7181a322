/**
 * A WebAssembly module from a plan: one function per kernel over its parallel range, one function `s0`, `s1`, ... per
 * step of the plan, and `run`, which takes all steps in order. Constants are data segments; the memory is imported.
 */
import type { Kernel, Loop, Plan, Step, Var } from '../../schedule/kernel.ts'
import { direct } from '../../schedule/elementwise.ts'
import { phases } from '../../schedule/phases.ts'
import { packed } from '../../schedule/product.ts'
import type { Dialect } from '../../schedule/expression.ts'
import type { Nest } from '../../schedule/nest.ts'
import { code, float, header, list, memoryCopy, scalarCode, section, signed, text, types, unsigned, word } from './encode.ts'
import { maths } from './math.ts'
import { printNest } from './print.ts'

export type Options = {
  /** Use relaxed fused multiply-add: faster, with one rounding or two as the machine likes. */
  readonly fma: boolean
}

export type Module = {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** How much memory the module needs: buffers and its own scratch. */
  readonly memoryBytes: number
}

/** A kernel as nests that run one after the other, and the scratch spaces that it needs. */
type Scheduled = { readonly nests: readonly Nest[]; readonly scratch: readonly { readonly space: number; readonly bytes: number }[] }

const schedule = (kernel: Kernel, counters: readonly Var[], dialect: Dialect, space: number): Scheduled => {
  const product = packed(kernel, counters, dialect, space)
  return product === null ? { nests: [direct(kernel, counters, dialect)], scratch: [] } : { nests: [product.nest], scratch: product.scratch }
}

const dataOf = (plan: Plan, offsets: readonly number[]): readonly (readonly number[])[] =>
  plan.buffers.flatMap(buffer => {
    if (buffer.role.kind !== 'constant' || offsets[buffer.id]! < 0) return []
    const bytes = buffer.role.data.flatMap(x => (buffer.aval.dtype === 'f32' ? float(x) : word(x | 0)))
    return [[0, code.i32Const, ...signed(offsets[buffer.id]!), code.end, ...unsigned(bytes.length), ...bytes]]
  })

/**
 * Compiles a plan. `offsets` gives the first byte of every buffer, `top` the first byte after all of them (a multiple of
 * 16). The module imports `env.memory` and exports `run` and `s0`, `s1`, ...
 */
export const emitWasm = (plan: Plan, offsets: readonly number[], top: number, options: Options): Module => {
  const dialect: Dialect = { unit: 4, maths, fma: options.fma }
  const bodies: { name: string; params: number; body: readonly number[] }[] = []
  const ends: number[] = [top]
  let lastVar = 2 ** 30
  const fresh = (): number => (lastVar += 1)
  const kernelCode = (kernel: Kernel, counters: readonly Var[]): readonly number[] => {
    const parts = phases(kernel, fresh, id => counters.find(c => c.id === id)?.size ?? 1)
    return parts.flatMap(part => partCode(part, counters))
  }
  const partCode = (kernel: Kernel, counters: readonly Var[]): readonly number[] => {
    const { nests, scratch } = schedule(kernel, counters, dialect, plan.buffers.length)
    const bases = new Map<number, number>()
    let end = top
    for (const { space, bytes } of scratch) {
      bases.set(space, end)
      end += Math.ceil(bytes / 64) * 64
    }
    ends.push(end)
    return nests.flatMap(nest => {
      const body = printNest(nest, { base: space => bases.get(space) ?? offsets[space]!, fma: options.fma })
      bodies.push({ name: nest.name, params: nest.params.length, body })
      const args = counters.flatMap((_, i) => [code.localGet, ...unsigned(i)])
      return [code.i32Const, 0, code.i32Const, ...signed(nest.extent), ...args, code.call, ...unsigned(bodies.length - 1)]
    })
  }
  const loopCode = (loop: Loop, counters: readonly Var[]): readonly number[] => {
    const i = unsigned(counters.length)
    const inner = loop.steps.flatMap(s => stepCode(s, [...counters, loop.counter]))
    if (loop.counter.size === 0) return []
    return [
      code.i32Const, 0, code.localSet, ...i, code.loop, code.empty, ...inner,
      code.localGet, ...i, code.i32Const, 1, scalarCode.i32.add, code.localTee, ...i,
      code.i32Const, ...signed(loop.counter.size), scalarCode.i32.ltS, code.brIf, 0, code.end,
    ]
  }
  const stepCode = (step: Step, counters: readonly Var[]): readonly number[] => {
    switch (step.kind) {
      case 'kernel':
        return kernelCode(step, counters)
      case 'loop':
        return loopCode(step, counters)
      case 'copy': {
        const bytes = 4 * plan.buffers[step.from]!.aval.shape.reduce((n, size) => n * size, 1)
        const [to, from] = [signed(offsets[step.to]!), signed(offsets[step.from]!)]
        return [code.i32Const, ...to, code.i32Const, ...from, code.i32Const, ...signed(bytes), ...memoryCopy]
      }
    }
  }
  const depth = (step: Step): number => (step.kind === 'loop' ? 1 + Math.max(0, ...step.steps.map(depth)) : 0)
  const steps = plan.steps.map((step, i) => {
    const counters = depth(step)
    const locals = counters === 0 ? [0] : [1, ...unsigned(counters), types.i32]
    const body = [...locals, ...stepCode(step, []), code.end]
    bodies.push({ name: `step${i}`, params: 0, body })
    return bodies.length - 1
  })
  bodies.push({ name: 'run', params: 0, body: [0, ...steps.flatMap(s => [code.call, ...unsigned(s)]), code.end] })
  const run = bodies.length - 1

  const arities = [...new Set(bodies.map(f => f.params))].sort((x, y) => x - y)
  const memoryBytes = Math.max(...ends)
  const pages = Math.max(1, Math.ceil(memoryBytes / 65536))
  const data = dataOf(plan, offsets)
  const exported = (name: string, f: number): readonly number[] => [...text(name), 0x00, ...unsigned(f)]
  const parts = [
    header,
    section(1, list(arities.map(n => [0x60, ...list(Array.from({ length: n }, () => [types.i32])), 0]))),
    section(2, list([[...text('env'), ...text('memory'), 0x02, 0x00, ...unsigned(pages)]])),
    section(3, list(bodies.map(f => unsigned(arities.indexOf(f.params))))),
    section(7, list([exported('run', run), ...steps.map((s, i) => exported(`s${i}`, s))])),
    section(10, list(bodies.map(f => [...unsigned(f.body.length), ...f.body]))),
    ...(data.length === 0 ? [] : [section(11, list(data))]),
    // names for profilers and stack traces
    section(0, [...text('name'), ...section(1, list(bodies.map(({ name }, i) => [...unsigned(i), ...text(name)])))]),
  ]
  return { bytes: new Uint8Array(parts.flatMap(p => [...p])), memoryBytes }
}
