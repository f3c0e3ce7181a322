/** The checks that the shape rules share: each returns in silence or refuses in one line. */
import type { Aval, DType, Prim } from './prim.ts'
import { refuse } from '../errors.ts'
import { showAval, showShape } from './dense.ts'

/** Refuses an operation. */
export const no = (operation: Prim, message: string): never => refuse({ kind: 'shape', operation, message })

/** Exactly `n` inputs. */
export const wants = (prim: Prim, inputs: readonly Aval[], n: number): readonly Aval[] =>
  inputs.length === n ? inputs : no(prim, `takes ${n} tensor${n === 1 ? '' : 's'}, got ${inputs.length}`)

/** One whole number for each axis of `x`. */
export const list = (prim: Prim, name: string, values: readonly number[], x: Aval): void => {
  if (values.length !== x.shape.length) no(prim, `${name} ${showShape(values)} must have one entry for each axis of ${showAval(x)}`)
  if (!values.every(Number.isInteger)) no(prim, `${name} ${showShape(values)} must be whole numbers`)
}

/** A tensor in the words of the typed surface: `[2, 3]`, and `i32 [2, 3]` where it does not hold f32. */
export const described = ({ shape, dtype }: Aval): string => (dtype === 'f32' ? showShape(shape) : `${dtype} ${showShape(shape)}`)
/** ` [3 != 4]` for the first sizes that differ between two shapes of one rank, otherwise nothing. */
export const clash = (a: readonly number[], b: readonly number[]): string => {
  const at = a.length === b.length ? a.findIndex((size, i) => size !== b[i]) : -1
  return at < 0 ? '' : ` [${a[at]} != ${b[at]}]`
}

const axis = (prim: Prim, x: Aval, at: number): void => {
  if (!Number.isInteger(at) || at < 0 || at >= x.shape.length) no(prim, `there is no axis ${at} in ${showAval(x)}`)
}

const sameShape = (prim: Prim, a: Aval, b: Aval, left = 'left is', right = 'right is'): void => {
  const alike = a.shape.length === b.shape.length && a.shape.every((size, i) => size === b.shape[i])
  if (!alike) no(prim, `${left} ${described(a)}, ${right} ${described(b)}${clash(a.shape, b.shape)}`)
}

const sameDtype = (prim: Prim, a: Aval, b: Aval): void => {
  if (a.dtype !== b.dtype) no(prim, `left is ${described(a)}, right is ${described(b)} [${a.dtype} != ${b.dtype}]`)
}

export const check = {
  axis,
  sameShape,
  sameDtype,
  shape: (prim: Prim, shape: readonly number[]): readonly number[] =>
    shape.every(size => Number.isInteger(size) && size >= 0) ? shape : no(prim, `${showShape(shape)} is not a shape: sizes are whole numbers, 0 or more`),
  dtype: (prim: Prim, x: Aval, allowed: readonly DType[]): void => {
    if (!allowed.includes(x.dtype)) no(prim, `takes ${allowed.join(', ')}, got ${showAval(x)}; cast it first`)
  },
  axes: (prim: Prim, x: Aval, axes: readonly number[]): void => {
    axes.forEach(at => axis(prim, x, at))
    if (axes.some((at, i) => i > 0 && at <= axes[i - 1]!)) no(prim, `axes ${showShape(axes)} of ${showAval(x)} must be ascending, each once`)
  },
  alike: (prim: Prim, a: Aval, b: Aval): void => {
    sameDtype(prim, a, b)
    sameShape(prim, a, b)
  },
} as const
