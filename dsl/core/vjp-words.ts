/** The vocabulary of the reverse rules: the few compositions of primitives that their formulas are made of. */
import type { Build, Prim } from './prim.ts'

type Unary = 'sign' | 'cos' | 'sin' | 'expm1'
type Comparison = 'eq' | 'gt' | 'lt'

export type Words<T> = ReturnType<typeof words<T>>

export const words = <T>(b: Build<T>) => {
  const full = (like: T, value: number): T => b.op('fill', [], { ...b.aval(like), value })
  const two =
    (prim: 'add' | 'sub' | 'mul' | 'div' | 'maximum' | 'minimum') =>
    (x: T, y: T): T =>
      b.op(prim, [x, y], {})
  const mul = two('mul')
  return {
    zeros: (like: T): T => full(like, 0),
    neg: (x: T): T => b.op('neg', [x], {}),
    unary: (prim: Unary & Prim, x: T): T => b.op(prim, [x], {}),
    mul,
    div: two('div'),
    /** x * c */
    scale: (x: T, c: number): T => (c === 1 ? x : mul(x, full(x, c))),
    /** x + c */
    shift: (x: T, c: number): T => two('add')(x, full(x, c)),
    /** c - x */
    from: (c: number, x: T): T => two('sub')(full(x, c), x),
    /** x^c, without the detour through `pow` for the powers 0, 1 and 2 */
    pow: (x: T, c: number): T => (c === 0 ? full(x, 1) : c === 1 ? x : c === 2 ? mul(x, x) : b.op('pow', [x], { exponent: c })),
    clamp: (x: T, low: number, high: number): T => two('minimum')(two('maximum')(x, full(x, low)), full(x, high)),
    compare: (prim: Comparison, x: T, y: T): T => b.op(prim, [x, y], {}),
    select: (cond: T, x: T, y: T): T => b.op('select', [cond, x, y], {}),
    /** The sum over ascending axes; x itself where there are none. */
    sum: (x: T, axes: readonly number[]): T => (axes.length === 0 ? x : b.op('sum', [x], { axes })),
    /** Repeats x along `axes` of `shape`: the inverse of a reduction over them. */
    spread: (x: T, axes: readonly number[], shape: readonly number[]): T =>
      axes.length === 0 ? x : b.op('broadcast', [x], { shape, axes: shape.flatMap((_, axis) => (axes.includes(axis) ? [] : [axis])) }),
    /** i32[...] -> f32[..., n]: 1 where the last index equals the element, else 0. */
    oneHot: (indices: T, n: number): T => {
      const { shape } = b.aval(indices)
      const counted = b.op('iota', [], { shape: [...shape, n], dtype: 'i32', axis: shape.length })
      const repeated = b.op('broadcast', [indices], { shape: [...shape, n], axes: shape.map((_, axis) => axis) })
      return b.op('cast', [b.op('eq', [repeated, counted], {})], { dtype: 'f32' })
    },
  }
}
