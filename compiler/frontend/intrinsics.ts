/**
 * The functions of the language that the front end performs itself instead of reading their source; everything else in
 * dsl/ is a composition of these, and is read like a user's code.
 */
import { ts } from 'ts-morph'
import type { Failure } from '../../dsl/errors.ts'
import type { Attrs, Prim } from '../../dsl/core/prim.ts'
import { sizeUnder } from '../../dsl/core/dims.ts'
import { grad, scan, valueAndGrad, vmap } from './combinators.ts'
import { call } from './calls.ts'
import { guarded, originOf, reject, rejectFailure, type Config, type Machine } from './machine.ts'
import { current, symbol, use } from './regions.ts'
import { describe, isCallable, isList, isRec, isTensor, leavesOf, native, type Native, type Rec, type Sym, type Value } from './values.ts'

/** Applies a primitive: appends an instruction to the function under construction. */
const op = native('op', (m, [prim, inputs, attrs], at) => {
  if (typeof prim !== 'string' || !isList(inputs)) return reject(m, at, 'op takes a primitive, its inputs and its attributes')
  const here = underway(m, at)
  const ids = inputs.map(x => guarded(m, at, () => use(here, operand(m, prim, x, at)).id))
  const bad = attrs === undefined ? undefined : leavesOf(attrs).find(leaf => typeof leaf.value === 'object' && leaf.value !== null)
  if (bad !== undefined) return reject(m, m.site ?? at, `${prim}: ${bad.path} depends on ${describe(bad.value)}; it must be known at compile time`)
  m.touched += 1
  // `infer` checks the primitive's attributes; the pairing of prim and attrs is the language's own
  const id = guarded(m, at, () => here.build.op(prim as Prim, ids, (attrs ?? {}) as unknown as Attrs[Prim], originOf(m, at)))
  return symbol(here, id)
})

const operand = (m: Machine, prim: string, x: Value, at: ts.Node): Sym => (isTensor(x) ? x : reject(m, m.site ?? at, `${prim} takes tensors, not ${describe(x)}`))

const underway = (m: Machine, at: ts.Node) => {
  if (m.region !== undefined) return current(m)
  return reject(m, m.site ?? at, 'a tensor is computed outside of a program', 'compute it within the function of the program')
}

const aval = native('aval', (m, [x], at) => {
  if (!isTensor(x)) return reject(m, m.site ?? at, `aval takes a tensor, not ${describe(x)}`)
  return { shape: x.aval.shape, dtype: x.aval.dtype }
})

const sizeOf = native('sizeOf', (m, [dim], at) => {
  if (typeof dim === 'number') return dim
  if (typeof dim !== 'string') return reject(m, m.site ?? at, `a dimension is a number or a name, not ${describe(dim)}`)
  m.touched += 1
  return guarded(m, at, () => sizeUnder(m.config, dim))
})

const refuse = native('refuse', (m, [failure], at) => {
  const known = isRec(failure) && typeof failure['kind'] === 'string'
  // a record of dsl/errors.ts, evaluated from its source
  return known ? rejectFailure(m, at, failure as unknown as Failure) : reject(m, m.site ?? at, `refused: ${describe(failure)}`)
})

/** A program as a value: its function runs within another program by simply being read in place, under its own config. */
const program = native('program', (_, [fn, config, options]) => ({
  fn,
  config: config ?? {},
  options: options ?? {},
  call: native('call', (m, args, at) => (isCallable(fn) ? withConfig(m, configOf(m, config, at), () => call(m, fn, args, at)) : reject(m, at, `program takes a function, not ${describe(fn)}`))),
}))

/** A config as numbers by name. */
export const configOf = (m: Machine, config: Value, at: ts.Node): Config => {
  if (config === undefined) return {}
  if (!isRec(config)) return reject(m, at, `a config is a record of numbers, not ${describe(config)}`)
  const sizes = Object.entries(config).filter((entry): entry is [string, number] => typeof entry[1] === 'number')
  return Object.fromEntries(sizes)
}

const withConfig = <A>(m: Machine, config: Config, f: () => A): A => {
  const { config: outer, cells } = m
  m.config = config
  m.cells = new Map()
  m.touched += 1
  try {
    return f()
  } finally {
    m.config = outer
    m.cells = cells
  }
}

/** What only the eager meaning can do. */
const toDense = native('toDense', (m, [x], at) => reject(m, m.site ?? at, `the values of ${describe(x)} are not known while the model is read`, 'return the tensor, and read it where the program has run'))

const byFile: Readonly<Record<string, Readonly<Record<string, Native>>>> = {
  'core/apply.ts': { op, aval, sizeOf, toDense, isTensor: native('isTensor', (_, [x]) => isTensor(x)) },
  'core/dims.ts': { sizeOf },
  'combinators.ts': { vmap, scan, grad, valueAndGrad },
  'errors.ts': { refuse },
  'program.ts': { program },
}

const maps: ReadonlyMap<string, ReadonlyMap<string, Native>> = new Map(Object.entries(byFile).map(([file, natives]) => [file, new Map(Object.entries(natives))]))
const none: ReadonlyMap<string, Native> = new Map()

/** The intrinsics that a file of the language declares; the file is named within `dsl/`. */
export const intrinsicsOf = (file: string): ReadonlyMap<string, Native> => maps.get(file) ?? none

/** Whether a value is a program, and its parts. */
export const programOf = (v: Value): { readonly fn: Value; readonly config: Value; readonly options: Value } | undefined =>
  isRec(v) && 'fn' in v && 'config' in v && isCallable(v['call']) ? { fn: (v as Rec)['fn'], config: (v as Rec)['config'], options: (v as Rec)['options'] } : undefined
