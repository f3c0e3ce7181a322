/** New variables, buffers and kernel names for what is added to a plan. A marked border: it counts what it has given out. */
import type { Aval } from '../../../dsl/core/prim.ts'
import { linear, variable, zero } from '../kernel/indexing.ts'
import type { Buffer, Expr, Index, Kernel, Plan, Step, Var } from '../kernel/kernel.ts'

export type Fresh = {
  readonly variable: (size: number, name: string) => Var
  /** A scratch buffer. */
  readonly buffer: (aval: Aval, name: string) => number
  readonly name: (wanted: string) => string
  /** The plan's buffers and the new ones behind them. */
  readonly buffers: () => readonly Buffer[]
}

const varsIn = (step: Step): readonly Var[] => {
  switch (step.kind) {
    case 'copy':
      return []
    case 'loop':
      return [step.counter, ...step.steps.flatMap(varsIn)]
    case 'kernel':
      return [...step.vars, ...(step.reduction?.vars ?? [])]
  }
}
const namesIn = (step: Step): readonly string[] => (step.kind === 'loop' ? step.steps.flatMap(namesIn) : step.kind === 'kernel' ? [step.name] : [])

export const freshFor = (plan: Plan): Fresh => {
  let last = plan.steps.flatMap(varsIn).reduce((n, v) => Math.max(n, v.id), 0)
  const buffers = [...plan.buffers]
  const taken = new Set(plan.steps.flatMap(namesIn))
  return {
    variable: (size, name) => ({ id: (last += 1), size, name }),
    buffer: (aval, name) => buffers.push({ id: buffers.length, aval, name, role: { kind: 'scratch' } }) - 1,
    name: wanted => {
      let n = 1
      while (taken.has(n === 1 ? wanted : `${wanted}_${n}`)) n += 1
      const found = n === 1 ? wanted : `${wanted}_${n}`
      taken.add(found)
      return found
    },
    buffers: () => buffers,
  }
}

/** A row-major array over some variables: the place of each. */
export const placeOver = (vars: readonly Var[]): Index => (vars.length === 0 ? zero : linear(vars.map(variable), vars.map(v => v.size)))

/** A kernel that keeps a value over some variables in a scratch buffer of its own, and the load of it. */
export const kept = (fresh: Fresh, kernel: Kernel, value: Expr, over: readonly Var[], what: string): { readonly kernel: Kernel; readonly load: Expr } => {
  const buffer = fresh.buffer({ shape: over.map(v => v.size), dtype: value.dtype }, `${kernel.name} ${what}`)
  const at = placeOver(over)
  return {
    kernel: { ...kernel, name: fresh.name(`${kernel.name}_${what}`), vars: over, stores: [{ buffer, at, value }] },
    load: { kind: 'load', buffer, at, dtype: value.dtype },
  }
}

/** Rewrites every kernel of a plan's steps into several, one after the other. */
export const eachKernel = (
  steps: readonly Step[], f: (kernel: Kernel, counters: readonly Var[]) => readonly Kernel[], counters: readonly Var[] = [],
): readonly Step[] =>
  steps.flatMap((step): readonly Step[] => {
    switch (step.kind) {
      case 'copy':
        return [step]
      case 'loop':
        return [{ ...step, steps: eachKernel(step.steps, f, [...counters, step.counter]) }]
      case 'kernel':
        return f(step, counters)
    }
  })

export const sizeOf = (vars: readonly Var[]): number => vars.reduce((n, v) => n * v.size, 1)
