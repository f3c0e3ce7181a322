/**
 * The conformance suite: one build folder and one list of tasks with their right answers, for every target alike. It holds
 * every primitive with its gradient, random functions with scans, every program of the front end's fixtures (all combinators),
 * every program of VDSM at its tiny size, and ten training steps of both stages. The answers are those of float64: of the IR's
 * interpreter, which has the meaning of the eager language (test/compiler/frontend compares them), and of VDSM's own source run eagerly.
 *
 * Tolerances are shares of a result's largest element (at least 1). A target's functions of one number are good to 2.5 units
 * in the last place (6e-8 each), and sums may be taken in any order.
 */
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { build as buildProgram } from '../../compiler/emit/build.ts'
import { lowerFiles } from '../../compiler/frontend/lower.ts'
import { interpret } from '../../compiler/ir/interpret.ts'
import type { Func, Program } from '../../compiler/ir/ir.ts'
import { optimise } from '../../compiler/transform/passes.ts'
import { valueAndGrad } from '../../compiler/transform/vjp.ts'
import { dense, type Dense } from '../../dsl/core/dense.ts'
import type { DType } from '../../dsl/core/prim.ts'
import { print } from '../../dsl/errors.ts'
import { aval, toDense } from '../../dsl/core/apply.ts'
import { manifestFile, manifestVersion, printManifest, type ProgramInfo } from '../../runtime/manifest.ts'
import { arbitrarySample, randomArgs, withLoss } from '../compiler/arbitrary.ts'
import { caseFuncs } from '../compiler/cases.ts'
import { argumentsFor } from '../compiler/frontend/agree.ts'
import { cases as vdsm, training } from '../models/fixtures/cases.ts'
import { named } from '../models/fixtures/trees.ts'
import { pack, unpack, type Answer, type Task } from './transport.ts'

export type Right = { readonly path: string; readonly dtype: DType; readonly values: ArrayLike<number> }
export type Case = { readonly task: Task; readonly group: Group; readonly right: () => readonly Right[] }

/** Groups of cases, with the largest difference that each allows and why. */
export const tolerances = {
  /** One operation, of numbers below 2: two units in the last place of a function, 1e-6 with those that lose a digit (expm1, log1p near 0). */
  primitives: 1e-6,
  /** A short sum of products of such. */
  gradients: 4e-6,
  /** A dozen operations and a scan one after the other: errors add up and are carried on. */
  composed: 2e-4,
  /** Programs over the language's combinators, a few operations each. */
  combinators: 2e-5,
  /** Sums of up to 64 * 64 * 12 products in float32: units in the 6th digit. */
  models: 2e-5,
  /** Ten steps of Adam, which divides by the root of small second moments: a difference in a gradient's 6th digit moves a parameter by as much of the learning rate. */
  training: 1e-3,
} as const
export type Group = keyof typeof tolerances

type Source = { readonly program: Program; readonly args: readonly Dense[]; readonly group: Group; readonly right?: () => readonly Right[]; readonly steps?: Task['steps'] }

/** Arguments as float32 holds them, so that all sides start from the same numbers. */
const rounded = (x: Dense): Dense => (x.dtype === 'f32' ? dense(x.shape, Float64Array.from(Float32Array.from(x.data)), 'f32') : x)

const programOf = (name: string, func: Func): Program =>
  ({ name, file: 'test/conformance/suite.ts', line: 1, config: {}, func: { ...func, params: func.params.map((p, i) => ({ ...p, path: `x${i}` })) },
    outputs: func.results.map((_, i) => `r${i}`), updates: [] })

const source = (group: Group, name: string, func: Func, args: readonly Dense[]): Source => ({ program: programOf(`${group}/${name.replaceAll(' ', '_')}`, func), args, group })

const primitives = (): readonly Source[] => caseFuncs().map(({ name, func }) => source('primitives', name, func, randomArgs(func, 5)))

const gradientOf = (func: Func): Func => valueAndGrad(func, func.params.flatMap((p, i) => (p.aval.dtype === 'f32' ? [i] : [])))

const gradients = (): readonly Source[] => caseFuncs(c => c.smooth === true).map(({ name, func }) => {
  const loss = withLoss(func)
  return source('gradients', name, gradientOf(loss), randomArgs(loss, 6))
})

const composed = (count: number): readonly Source[] =>
  fc.sample(arbitrarySample({ steps: 10, scans: true, smooth: true }), { numRuns: count, seed: 21 }).flatMap(({ func, args }, i) =>
    [source('composed', `${i}`, func, args), source('composed', `${i}_gradient`, gradientOf(withLoss(func)), args)])

const lowered = (files: readonly string[], root: string): readonly Program[] => {
  const read = lowerFiles(files.map(file => resolve(file)), resolve(root))
  if (E.isLeft(read)) throw new Error(print(read.left))
  return read.right
}

const combinators = (): readonly Source[] =>
  lowered(['subset', 'corners'].map(file => `test/compiler/frontend/fixtures/${file}.ts`), 'test/compiler/frontend')
    .map(program => ({ program: { ...program, name: program.name.replace('fixtures', 'combinators') }, args: argumentsFor(program.func.params, 1), group: 'combinators' }))

const rightOf = (tree: unknown): readonly Right[] => named(tree).map(([path, t]) => ({ path, dtype: aval(t).dtype, values: toDense(t).data }))

const models = (): readonly Source[] => {
  const programs = lowered(['models/vdsm/tiny/frames.ts', 'models/vdsm/tiny/video.ts'], 'models')
  const found = (name: string): Program => {
    const program = programs.find(p => p.name.endsWith(`tiny/${name}`))
    if (program === undefined) throw new Error(`there is no program ${name}`)
    return program
  }
  const argsOf = (program: Program, args: object): readonly Dense[] => {
    const given = new Map(named(args).map(([path, t]) => [path, toDense(t)]))
    return program.func.params.map(({ path }) => given.get(path) ?? dense([0], [], 'f32'))
  }
  return [
    ...Object.entries(vdsm).map(([name, { args, eager }]): Source =>
      ({ program: { ...found(name), name: `models/${name}` }, args: argsOf(found(name), args), group: 'models', right: () => rightOf(eager()) })),
    ...Object.entries(training).map(([name, { args, steps, eager }]): Source =>
      ({ program: { ...found(name), name: `training/${name}` }, args: argsOf(found(name), args), group: 'training', right: () => rightOf(eager()), steps })),
  ]
}

const exactly = (x: Dense, path: string): Right => ({ path, dtype: x.dtype, values: x.data })

/** Builds everything into a folder and says what is to be done with it. */
export const makeSuite = (out: string): readonly Case[] => {
  const made = [...primitives(), ...gradients(), ...composed(16), ...combinators(), ...models()].map(({ program, args, group, right, steps }) => {
    const given = args.map(rounded)
    const built = buildProgram(program.name, { ...program, func: optimise(program.func) }, 'conformance')
    for (const [name, content] of built.files) writeFileSync(join(out, name), content)
    const inputs = Object.fromEntries(program.func.params.map(({ path, aval: { dtype } }, i) => [path, pack(given[i]?.data ?? [], dtype)]))
    const reference = (): readonly Right[] => interpret(program.func, given).map((x, i) => exactly(x, program.outputs[i] ?? ''))
    return { info: built.info, found: { task: { id: program.name, inputs, ...(steps === undefined ? {} : { steps }) }, group, right: right ?? reference } satisfies Case }
  })
  const programs = made.map(({ info }): ProgramInfo => info).sort((a, b) => (a.id < b.id ? -1 : 1))
  writeFileSync(join(out, manifestFile), printManifest({ version: manifestVersion, root: '.', programs }))
  return made.map(({ found }) => found)
}

/** WGSL may take -0 for 0, and shaders do: results that tell the two apart, by program. */
const signsOfZero: Readonly<Record<string, readonly string[]>> = { 'combinators/corners/specials': ['negativeZero'] }

/** What is wrong with an answer, in words; null where it fits. Integers, bools and random bits have to be equal. `zeros`: whether the target keeps the sign of 0. */
export const wrong = ({ group, right, task }: Case, answer: Answer, { zeros }: { readonly zeros: boolean }): string | null => {
  if ('problem' in answer) return answer.problem
  for (const { path, dtype, values } of right()) {
    const packed = answer.outputs[path]
    if (packed === undefined) return `there is no result ${path}`
    const got = unpack(packed, dtype)
    if (got.length !== values.length) return `${path} has ${got.length} elements, not ${values.length}`
    const unsigned = !zeros && (signsOfZero[task.id]?.includes(path) ?? false)
    const scale = Array.from(values, Math.abs).filter(Number.isFinite).reduce((m, x) => Math.max(m, x), 1)
    for (let i = 0; i < values.length; i++) {
      const [x, y] = [dtype === 'f32' ? Math.fround(values[i] ?? NaN) : values[i] ?? NaN, got[i] ?? NaN]
      const fits = x === y || (Number.isNaN(x) && Number.isNaN(y)) || (unsigned && x === -y) || (dtype === 'f32' && Math.abs(x - y) <= tolerances[group] * scale)
      if (!fits) return `${path}[${i}] is ${y}, not ${x} (differences up to ${tolerances[group]} of ${scale} are allowed)`
    }
  }
  return null
}
