/**
 * A plan as a program for WebGL (runtime/gl-program.ts): every kernel as gathers, each of them a kernel of gpu.js, and the arrays between
 * them. Kernels that differ in names alone are kept once.
 */
import { type GlArray, type GlFunction, type GlKernel, type GlProgram, type GlStep, glProgramVersion, texelsOf } from '../../../runtime/gl-program.ts'
import { type Gather, type GatherPlan, type GatherStep, gatherPlan } from '../../schedule/gather/gather.ts'
import type { Buffer, Plan } from '../../schedule/kernel/kernel.ts'
import { functionOf } from './functions.ts'
import { fill, plain, templateOf, webgl } from './print.ts'

/** The largest texture that is usual has so many numbers along each side. */
const side = 8192

export type Compiled = {
  readonly program: GlProgram
  /** What is run: the plan as gathers. */
  readonly gathers: GatherPlan
}

/** What a program needs that WebGL does not have, in words. */
export class TooLarge extends Error {}

const elementsOf = ({ aval }: Buffer): number => aval.shape.reduce((n, d) => n * d, 1)

/** JSON has no words for these. */
const encoded = (x: number): number | string => (Object.is(x, -0) ? '-0' : Number.isFinite(x) ? x : String(x))

/** Whether a gather gives every element of its buffer what it has. */
const isIdentity = ({ nest: { body, params }, buffer }: Gather): boolean => {
  const [first, last] = body
  const given = first?.kind === 'set' ? first.value : undefined
  return body.length === 2 && last?.kind === 'store' && last.value.kind === 'local' && first?.kind === 'set' && last.value.id === first.local.id &&
    given?.kind === 'load' && given.space === buffer && given.offset === 0 && given.at === params[0]
}

/** The buffers that steps and ports touch, in order. */
const touched = (steps: readonly GatherStep[], reads: (gather: Gather) => readonly number[]): readonly number[] =>
  steps.flatMap((step): readonly number[] => {
    switch (step.kind) {
      case 'copy':
        return [step.from, step.to]
      case 'loop':
        return touched(step.steps, reads)
      case 'kernel':
        return step.gathers.flatMap(g => [...reads(g), g.buffer])
    }
  })

const checkSizes = (buffers: readonly Buffer[]): void => {
  for (const b of buffers) {
    const texels = texelsOf({ name: b.name, dtype: b.aval.dtype, elements: elementsOf(b) })
    if (texels > side * side) throw new TooLarge(`${b.name} takes ${texels} numbers; a texture of ${side} x ${side} has ${side * side}`)
  }
}

/** The program of a plan. Throws `TooLarge` where no texture could hold an array; refuses what cannot be gathers. */
export const compileGl = (id: string, plan: Plan): Compiled => {
  checkSizes(plan.buffers)
  const gathers = gatherPlan(plan, webgl)
  const { buffers, steps } = gathers
  checkSizes(buffers)

  const dtypeOf = (space: number) => buffers[space]!.aval.dtype
  const templates = new Map<Gather, ReturnType<typeof templateOf>>()
  const template = (gather: Gather): ReturnType<typeof templateOf> => {
    const made = templates.get(gather) ?? templateOf(gather.nest, dtypeOf, dtypeOf(gather.buffer))
    templates.set(gather, made)
    return made
  }
  /** An output that takes the place of an input is that input's array. */
  const place = (buffer: number): number => {
    const { role } = buffers[buffer]!
    return role.kind === 'output' && role.over !== undefined ? role.over : buffer
  }
  const ports = (kind: 'input' | 'output'): readonly number[] =>
    buffers.flatMap(({ id: buffer, role }) => (role.kind === kind ? [{ index: role.index, buffer }] : []))
      .sort((a, b) => a.index - b.index).map(p => place(p.buffer))
  const used = new Set([...ports('input'), ...ports('output'), ...touched(steps, g => template(g).inputs).map(place)])
  const kept = buffers.filter(b => used.has(b.id))
  const numbers = new Map(kept.map((b, i) => [b.id, i]))
  const numberOf = (buffer: number): number => numbers.get(place(buffer))!
  const arrays = kept.map((b): GlArray => ({ name: b.name, dtype: b.aval.dtype, elements: elementsOf(b) }))

  const kernels: GlKernel[] = []
  const functions = new Map<string, GlFunction>()
  const byText = new Map<string, number>()
  /** The number of a kernel: those that differ in names alone are one, with the names of the first. */
  const kernelOf = (gather: Gather): number => {
    const made = template(gather)
    const inputs = made.inputs.map(space => texelsOf(arrays[numberOf(space)]!))
    const texels = texelsOf(arrays[numberOf(gather.buffer)]!)
    const key = `${plain(made)}\n${[...inputs, texels].join()}`
    const known = byText.get(key)
    if (known !== undefined) return known
    byText.set(key, kernels.length)
    for (const [name, named] of made.functions) functions.set(name, functionOf(named))
    const places = [...new Set(gather.origins.map(o => `${o.file}:${o.line}:${o.column}`))]
    const code = fill(made, { name: gather.name, places, names: space => buffers[space]!.name })
    return kernels.push({ name: gather.name, places, code, inputs, counters: made.counters.length, texels, functions: [...made.functions.keys()] }) - 1
  }
  /** One step, or none if there is nothing to do. */
  const stepOf = (step: GatherStep): readonly GlStep[] => {
    switch (step.kind) {
      case 'copy':
        return [{ kind: 'copy', from: numberOf(step.from), to: numberOf(step.to) }]
      case 'loop': {
        const inner = step.steps.flatMap(stepOf)
        return inner.length === 0 ? [] : [{ kind: 'loop', size: step.counter.size, steps: inner }]
      }
      case 'kernel': {
        const { name, flops, bytes } = step
        const places = [...new Set(step.origins.map(o => `${o.file}:${o.line}:${o.column}`))]
        const runs = step.gathers.filter(g => !isIdentity(g))
          .map(g => ({ kernel: kernelOf(g), inputs: template(g).inputs.map(numberOf), output: numberOf(g.buffer) }))
        return runs.length === 0 ? [] : [{ kind: 'kernel', name, places, flops, bytes, runs }]
      }
    }
  }
  const made = steps.flatMap(stepOf)
  const constants = kept.flatMap(b => (b.role.kind === 'constant' ? [{ array: numberOf(b.id), data: b.role.data.map(encoded) }] : []))
  return {
    gathers,
    program: {
      version: glProgramVersion, id, arrays, inputs: ports('input').map(numberOf), outputs: ports('output').map(numberOf),
      constants, functions: [...functions.values()], kernels, steps: made,
    },
  }
}
