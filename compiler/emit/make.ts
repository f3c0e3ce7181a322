/**
 * What is done to each program alone, once it is lowered: passes, kernels, modules. It depends on nothing else, so it may
 * be done on any thread (`threads.ts`); tasks and what is made of them are plain data.
 */
import type { Func, Program } from '../ir/ir.ts'
import { optimise } from '../transform/passes.ts'
import { build, type Built } from './build.ts'
import { sha } from './cache.ts'

export type Task = {
  readonly program: Program
  /** The hash of the compiler. */
  readonly compiler: string
  /** The hash of the program whose modules are there already, if they are. */
  readonly there: string | undefined
}

/** null where what is there is what would be made. */
export type Made = Built | null

/** A function as text that tells any two apart: every element of a literal, -0 from 0, NaN from infinity. */
const exact = (func: Func): string =>
  JSON.stringify(func, (_, x: unknown) => (typeof x === 'number' && (!Number.isFinite(x) || Object.is(x, -0)) ? (x === 0 ? '-0' : String(x)) : x))

/** Compiles a lowered program, unless it is there. */
export const make = ({ program, compiler, there }: Task): Made => {
  const { name, config, outputs, updates, line, file } = program
  const func = optimise(program.func)
  const hash = sha([compiler, name, exact(func), JSON.stringify([config, outputs, updates, line, file])].join('\n'))
  return hash === there ? null : build(name, { ...program, func }, hash)
}
