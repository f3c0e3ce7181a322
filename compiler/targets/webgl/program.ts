/**
 * A plan as a program for WebGL (runtime/gl-program.ts): every kernel as gathers, each of them a kernel of gpu.js, and the arrays between
 * them. Kernels that differ in names alone are kept once.
 */
import { type GlArray, type GlFunction, type GlKernel, type GlProgram, type GlStep, glProgramVersion, texelsOf } from '../../../runtime/gl-program.ts'
import { type Gather, type GatherStep, gatherPlan } from '../../schedule/gather/gather.ts'
import type { Buffer, Plan } from '../../schedule/kernel/kernel.ts'
import { functionOf } from './functions.ts'
import { type Gathers, type Printed, gathers } from './gathers.ts'
import { fill } from './print.ts'

/** The largest texture that is usual has so many numbers along each side. */
const side = 8192

/** What a program needs that WebGL does not have, in words. */
export class TooLarge extends Error {}

const elementsOf = ({ aval }: Buffer): number => aval.shape.reduce((n, d) => n * d, 1)

/** JSON has no words for these. */
const encoded = (x: number): number | string => (Object.is(x, -0) ? '-0' : Number.isFinite(x) ? x : String(x))

/** The buffers that steps touch, in order. */
const touched = (steps: readonly GatherStep<Printed>[]): readonly number[] =>
  steps.flatMap((step): readonly number[] => {
    switch (step.kind) {
      case 'copy':
        return [step.from, step.to]
      case 'loop':
        return touched(step.steps)
      case 'kernel':
        return step.gathers.flatMap(g => [...g.made.template.inputs, g.buffer])
    }
  })

const checkSizes = (buffers: readonly Buffer[]): void => {
  for (const b of buffers) {
    const texels = texelsOf({ name: b.name, dtype: b.aval.dtype, elements: elementsOf(b) })
    if (texels > side * side) throw new TooLarge(`${b.name} takes ${texels} numbers; a texture of ${side} x ${side} has ${side * side}`)
  }
}

/**
 * The program of a plan; `make` is what programs of one compile share. Throws `TooLarge` where no texture could hold an array; refuses what cannot be
 * gathers.
 */
export const compileGl = (id: string, plan: Plan, make: Gathers = gathers()): GlProgram => {
  checkSizes(plan.buffers)
  const { buffers, steps } = gatherPlan(plan, make)
  checkSizes(buffers)

  /** An output that takes the place of an input is that input's array. */
  const place = (buffer: number): number => {
    const { role } = buffers[buffer]!
    return role.kind === 'output' && role.over !== undefined ? role.over : buffer
  }
  const ports = (kind: 'input' | 'output'): readonly number[] =>
    buffers.flatMap(({ id: buffer, role }) => (role.kind === kind ? [{ index: role.index, buffer }] : []))
      .sort((a, b) => a.index - b.index).map(p => place(p.buffer))
  const used = new Set([...ports('input'), ...ports('output'), ...touched(steps).map(place)])
  const kept = buffers.filter(b => used.has(b.id))
  const numbers = new Map(kept.map((b, i) => [b.id, i]))
  const numberOf = (buffer: number): number => numbers.get(place(buffer))!
  const arrays = kept.map((b): GlArray => ({ name: b.name, dtype: b.aval.dtype, elements: elementsOf(b) }))

  const kernels: GlKernel[] = []
  const functions = new Map<string, GlFunction>()
  const byText = new Map<string, number>()
  /** The number of a kernel: those that differ in names alone are one, with the names of the first. */
  const kernelOf = (gather: Gather<Printed>): number => {
    const { template, plain } = gather.made
    const inputs = template.inputs.map(space => texelsOf(arrays[numberOf(space)]!))
    const texels = texelsOf(arrays[numberOf(gather.buffer)]!)
    const key = `${plain}\n${[...inputs, texels].join()}`
    const known = byText.get(key)
    if (known !== undefined) return known
    byText.set(key, kernels.length)
    for (const [name, named] of template.functions) functions.set(name, functionOf(named))
    const places = [...new Set(gather.origins.map(o => `${o.file}:${o.line}:${o.column}`))]
    const code = fill(template, { name: gather.name, places, names: space => buffers[space]!.name })
    return kernels.push({ name: gather.name, places, code, inputs, counters: template.counters.length, texels, functions: [...template.functions.keys()] }) - 1
  }
  /** One step, or none if there is nothing to do. */
  const stepOf = (step: GatherStep<Printed>): readonly GlStep[] => {
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
        const runs = step.gathers.filter(g => !g.made.identity)
          .map(g => ({ kernel: kernelOf(g), inputs: g.made.template.inputs.map(numberOf), output: numberOf(g.buffer) }))
        return runs.length === 0 ? [] : [{ kind: 'kernel', name, places, flops, bytes, runs }]
      }
    }
  }
  const made = steps.flatMap(stepOf)
  const constants = kept.flatMap(b => (b.role.kind === 'constant' ? [{ array: numberOf(b.id), data: b.role.data.map(encoded) }] : []))
  return {
    version: glProgramVersion, id, arrays, inputs: ports('input').map(numberOf), outputs: ports('output').map(numberOf),
    constants, functions: [...functions.values()], kernels, steps: made,
  }
}
