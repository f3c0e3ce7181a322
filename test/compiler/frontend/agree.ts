/** Helpers: random arguments for a lowered program, its interpretation, and its eager run on the same arguments. */
import { allocate, count, type Dense } from '../../../dsl/core/dense.ts'
import { interpret } from '../../../compiler/ir/interpret.ts'
import type { Param, Program } from '../../../compiler/ir/ir.ts'

/** A small generator (mulberry32), so that failures repeat. */
const generator = (seed: number) => {
  let state = seed >>> 0
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    const a = Math.imul(state ^ (state >>> 15), state | 1)
    const b = a ^ (a + Math.imul(a ^ (a >>> 7), a | 61))
    return ((b ^ (b >>> 14)) >>> 0) / 4294967296
  }
}

export const argumentsFor = (params: readonly Param[], seed = 1): readonly Dense[] => {
  const next = generator(seed)
  return params.map(({ aval: { shape, dtype } }) => {
    const data = allocate(dtype, count(shape))
    data.forEach((_, i) => { data[i] = dtype === 'f32' ? next() * 2 - 1 : dtype === 'bool' ? Number(next() < 0.5) : Math.floor(next() * 100) })
    return { shape, dtype, data }
  })
}

type Tree = Dense | { [name: string]: Tree } | Tree[]
const isNode = (x: unknown): x is { [name: string]: Tree } => typeof x === 'object' && x !== null

/** Puts a value at a path such as `a.b[2].c`. */
const put = (into: { [name: string]: Tree }, path: string, value: Dense): void => {
  const steps = path.split(/\.|(?=\[)/)
  const walk = (node: { [name: string]: Tree }, [step, ...rest]: readonly string[]): void => {
    const key = step?.replace(/[[\]]/g, '') ?? ''
    if (rest.length === 0) { node[key] = value; return }
    const made = node[key] ?? (rest[0]?.startsWith('[') === true ? [] : {})
    node[key] = made
    walk(made as { [name: string]: Tree }, rest) // arrays too are walked by key
  }
  walk(into, steps)
}

/** The arguments as the program's function takes them. */
export const treeOf = (params: readonly Param[], args: readonly Dense[]): readonly Tree[] => {
  const root: { [name: string]: Tree } = {}
  params.forEach((p, i) => { const x = args[i]; if (x !== undefined) put(root, p.path, x) })
  return Object.values(root)
}

/** Tensors of an eager result by path. */
export const flat = (x: unknown, path = ''): readonly (readonly [string, Dense])[] => {
  if (isNode(x) && 'data' in x && 'dtype' in x) return [[path, x as unknown as Dense]]
  if (Array.isArray(x)) return x.flatMap((y, i) => flat(y, `${path}[${i}]`))
  return isNode(x) ? Object.entries(x).flatMap(([k, y]) => flat(y, path === '' ? k : `${path}.${k}`)) : []
}

export const interpreted = (program: Program, args: readonly Dense[]): ReadonlyMap<string, Dense> => {
  const results = interpret(program.func, args)
  return new Map(results.map((r, i) => [program.outputs[i] ?? '', r]))
}
