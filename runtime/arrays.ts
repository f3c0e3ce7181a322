/**
 * Fitting arrays from files to a program's inputs, before anything runs: every problem is found and worded with what was
 * expected and what is there. Nothing is converted silently that could lose meaning: integers must be in range, and
 * integers are not taken for real numbers (scaling pixels is the user's decision).
 */
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../dsl/errors.ts'
import type { DType } from '../dsl/core/prim.ts'
import { sameShape, typeText } from './executor.ts'
import { elementOf, familyOf, type FileArray, type Values } from './io/element.ts'
import type { ProgramInfo, Slot } from './manifest.ts'
import { nearest } from './nearest.ts'

const range: Readonly<Record<'i32' | 'u32', readonly [number, number]>> = { i32: [-(2 ** 31), 2 ** 31 - 1], u32: [0, 2 ** 32 - 1] }

const wantedFamily: Readonly<Record<DType, 'float' | 'integer' | 'bool'>> = { f32: 'float', i32: 'integer', u32: 'integer', bool: 'bool' }

const textOf = (array: FileArray): string => `${array.element}[${array.shape.join(', ')}]`

/** What hinders an array from being the value of that input, or null. */
export const misfit = (slot: Slot, array: FileArray): string | null => {
  const expected = `expected ${elementOf[slot.dtype]}[${slot.shape.join(', ')}], got ${textOf(array)}`
  if (!sameShape(slot.shape, array.shape)) return expected
  if (familyOf[array.element] !== wantedFamily[slot.dtype]) {
    return `${expected}: convert it, e.g. .astype(numpy.${slot.dtype === 'bool' ? 'bool_' : elementOf[slot.dtype]})`
  }
  if (slot.dtype === 'f32' || slot.dtype === 'bool') return null
  const [low, high] = range[slot.dtype]
  const outside = array.data.findIndex((x: number) => x < low || x > high)
  return outside < 0 ? null : `${expected}: its element ${outside} is ${array.data[outside] ?? NaN}, beyond ${elementOf[slot.dtype]}`
}

const many = <T>(items: readonly T[], show: (item: T) => string): readonly string[] =>
  items.length <= 12 ? items.map(show) : [...items.slice(0, 10).map(show), `... and ${items.length - 10} more like these`]

const takes = ({ inputs }: ProgramInfo): string =>
  inputs.length <= 6 ? `It takes: ${inputs.map(slot => `${slot.path} ${typeText(slot)}`).join(', ')}`
    : `It takes ${inputs.length} arrays; they are listed by: vdsm list --arrays`

/**
 * The values of all inputs by path, or every problem at once: arrays that the program does not know, arrays that do not
 * fit, inputs for which there is no array. `made` are values that stand in where the files have none (a key from a seed).
 */
export const fitArrays = (
  program: ProgramInfo, given: ReadonlyMap<string, FileArray>, made: ReadonlyMap<string, Values> = new Map(),
): E.Either<Failure, ReadonlyMap<string, Values>> => {
  const slots = new Map(program.inputs.map(slot => [slot.path, slot]))
  const unknown = [...given].filter(([name]) => !slots.has(name))
  const missing = program.inputs.filter(slot => !given.has(slot.path) && !made.has(slot.path))
  const wrong = program.inputs.flatMap(slot => {
    const array = given.get(slot.path)
    const problem = array === undefined ? null : misfit(slot, array)
    return problem === null ? [] : [`${slot.path}: ${problem}`]
  })
  const problems = [
    ...many(wrong, text => text),
    ...many(unknown, ([name, array]) => {
      const near = nearest(name, missing.map(slot => slot.path))
      return `${name}: no such input (got ${textOf(array)})${near === undefined ? '' : `; is ${near} meant?`}`
    }),
    ...many(missing, slot => `${slot.path}: missing, expected ${elementOf[slot.dtype]}[${slot.shape.join(', ')}]`),
  ]
  if (problems.length > 0) {
    return E.left({ kind: 'arrays', program: program.id, problems, remedy: takes(program) })
  }
  return E.right(new Map(program.inputs.flatMap(slot => {
    const data = given.get(slot.path)?.data ?? made.get(slot.path)
    return data === undefined ? [] : [[slot.path, data] as const]
  })))
}
