/** Every function of values of the nest language, what it means, and the edges that it is tried on. A new function does not compile here without a case. */
import type { DType } from '../../../dsl/core/prim.ts'
import type { Builder } from '../../../compiler/schedule/nest/builder.ts'
import { type Fn, type Type, type Value, i32 } from '../../../compiler/schedule/nest/nest.ts'
import { samples } from './values.ts'

export type Case = {
  readonly args: readonly DType[]
  readonly to: DType
  readonly means: (...xs: readonly number[]) => number
  /** The value of the function; for vectors `wide`. */
  readonly value?: (b: Builder, type: Type, args: readonly Value[]) => Value
  /** Units in the last place that a result may be off. */
  readonly off?: number
  readonly among?: (...xs: readonly number[]) => boolean
  readonly only?: 'scalar' | 'vector'
}

const word = new DataView(new ArrayBuffer(4))
const put: { readonly [D in DType]: (x: number) => void } = {
  f32: x => word.setFloat32(0, x), i32: x => word.setInt32(0, x), u32: x => word.setUint32(0, x), bool: x => word.setUint32(0, x),
}
const same = (from: DType, to: DType) => (x: number): number => {
  put[from](x)
  return to === 'f32' ? word.getFloat32(0) : to === 'i32' ? word.getInt32(0) : word.getUint32(0)
}
/** In the range of an integer type. */
const wrapped = (type: DType, x: number): number => (type === 'i32' ? x | 0 : type === 'u32' ? x >>> 0 : x)
const truncated = (type: DType, x: number): number =>
  Number.isNaN(x) ? 0 : type === 'i32' ? Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.trunc(x))) : Math.max(0, Math.min(2 ** 32 - 1, Math.trunc(x)))
const converted = (from: DType, to: DType) => (x: number): number =>
  to === 'bool' ? Number(x !== 0) : from === 'f32' && to !== 'f32' ? truncated(to, x) : wrapped(to, x)

const numbers = ['f32', 'i32', 'u32'] as const
const integers = ['i32', 'u32'] as const
const all = ['f32', 'i32', 'u32', 'bool'] as const
const on = (types: readonly DType[], n: number, means: (type: DType) => Case['means'], more: Partial<Case> = {}): readonly Case[] =>
  types.map(type => ({ args: Array.from({ length: n }, () => type), to: type, means: means(type), ...more }))
const arithmetic = (types: readonly DType[], f: (x: number, y: number) => number, more: Partial<Case> = {}): readonly Case[] =>
  on(types, 2, type => (x, y) => wrapped(type, f(x!, y!)), more)
const compare = (types: readonly DType[], f: (x: number, y: number) => boolean): readonly Case[] =>
  on(types, 2, () => (x, y) => Number(f(x!, y!)), { to: 'bool' })
const ieee = { among: (...xs: readonly number[]) => xs.every(x => Math.abs(x) !== 2 ** -126) }
const divisible = (x?: number, y?: number): boolean => y !== 0 && !(x === -2147483648 && y === -1)
const shifts = (fn: 'shl' | 'shr', f: (type: DType, x: number, n: number) => number): readonly Case[] => [
  ...[0, 1, 23, 31].flatMap(n => on(integers, 1, type => x => f(type, x!, n), { value: (b, type, [x]) => b.call(fn, type, x!, i32(n)) })),
  ...integers.map((type): Case => ({ args: [type, 'i32'], to: type, means: (x, n) => f(type, x!, n!), among: (_, n) => n! >= 0 && n! < 32, only: 'scalar' })),
]
const fmas = (x?: number, y?: number, z?: number): boolean => [x!, y!, z!].every(v => !(Math.abs(v) < 1e-20 && v !== 0))

export const cases: { readonly [F in Fn]: readonly Case[] } = {
  add: arithmetic(numbers, (x, y) => x + y),
  sub: arithmetic(numbers, (x, y) => x - y),
  mul: [...arithmetic(['f32'], (x, y) => x * y, ieee), ...arithmetic(integers, Math.imul)],
  // WGSL promises divisions within 2.5
  div: [...arithmetic(['f32'], (x, y) => x / y, { off: 2.5, ...ieee }), ...arithmetic(integers, (x, y) => Math.trunc(x / y), { among: divisible })],
  rem: arithmetic(integers, (x, y) => x % y, { among: divisible }),
  min: arithmetic(numbers, Math.min, { among: (x, y) => !(x === 0 && y === 0) }),
  max: arithmetic(numbers, Math.max, { among: (x, y) => !(x === 0 && y === 0) }),
  neg: on(['f32', 'i32'], 1, type => x => wrapped(type, -x!)),
  abs: on(['f32', 'i32'], 1, type => x => wrapped(type, Math.abs(x!))),
  // WGSL derives it from an inverse root and a division
  sqrt: on(['f32'], 1, () => x => Math.sqrt(x!), { off: 2.5 }),
  floor: on(['f32'], 1, () => x => Math.floor(x!)),
  nearest: on(['f32'], 1, () => x => (Math.abs(x! % 1) === 0.5 ? 2 * Math.round(x! / 2) : Math.abs(x!) < 0.5 ? x! * 0 : Math.round(x!))),
  and: [...arithmetic(integers, (x, y) => x & y), ...arithmetic(['bool'], (x, y) => x & y)],
  or: [...arithmetic(integers, (x, y) => x | y), ...arithmetic(['bool'], (x, y) => x | y)],
  xor: [...arithmetic(integers, (x, y) => x ^ y), ...arithmetic(['bool'], (x, y) => x ^ y)],
  not: on(['bool'], 1, () => x => 1 - x!),
  shl: shifts('shl', (type, x, n) => wrapped(type, x << n)),
  shr: shifts('shr', (type, x, n) => (type === 'i32' ? x >> n : x >>> n)),
  eq: compare(all, (x, y) => x === y),
  ne: compare(all, (x, y) => x !== y),
  lt: compare(numbers, (x, y) => x < y),
  le: compare(numbers, (x, y) => x <= y),
  gt: compare(numbers, (x, y) => x > y),
  ge: compare(numbers, (x, y) => x >= y),
  select: all.map((type): Case => ({ args: ['bool', type, type], to: type, means: (c, x, y) => (c !== 0 ? x! : y!) })),
  // one rounding or two: where they are the same
  fma: on(['f32'], 3, () => (x, y, z) => x! * y! + z!, {
    among: (x, y, z) => fmas(x, y, z) && Object.is(Math.fround(Math.fround(x! * y!) + z!), Math.fround(x! * y! + z!)),
  }),
  splat: on(all, 1, () => x => x!, { value: (b, type, [x]) => b.call('splat', type, b.lane(x!, 0)), only: 'vector' }),
  lanes: on(all, 1, () => x => x!, { value: (b, type, [x]) => b.call('lanes', type, ...[0, 1, 2, 3].map(i => b.lane(x!, i))), only: 'vector' }),
  convert: all.flatMap(from => all.filter(to => to !== from).map((to): Case => ({ args: [from], to, means: converted(from, to) }))),
  bits: [
    ...numbers.flatMap(from => numbers.filter(to => to !== from).map((to): Case =>
      ({ args: [from], to, means: same(from, to), among: x => !Number.isNaN(x) }))),
    ...integers.flatMap((to): readonly Case[] => [
      { args: ['bool'], to, means: x => wrapped(to, -x!), only: 'vector' }, { args: ['bool'], to, means: x => x!, only: 'scalar' },
    ]),
  ],
}

const product = (lists: readonly (readonly number[])[]): readonly (readonly number[])[] =>
  lists.reduce<readonly (readonly number[])[]>((rows, list) => rows.flatMap(row => list.map(x => [...row, x])), [[]])

/** All combinations of edges that a case is tried on. */
export const rowsOf = (fn: Fn, { args, among }: Case): readonly (readonly number[])[] => {
  const some = (type: DType): readonly number[] => (args.length === 3 ? samples[type].filter((_, k) => k % 2 === 0 || k > 21) : samples[type])
  const lists = args.map((type, i) => ((fn === 'shl' || fn === 'shr') && i === 1 ? [0, 1, 5, 31] : some(type)))
  return product(lists).filter(row => among?.(...row) ?? true)
}
