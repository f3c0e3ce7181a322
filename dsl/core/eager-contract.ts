/**
 * The eager meaning of `contract`: nested loops over the labels, those of the result outside, the summed ones inside.
 * Each loop moves both operands by fixed strides; a window adds, as soon as both of its labels are known, an offset
 * from a table made beforehand, where -1 marks the positions that count as zero: they are skipped with all that is
 * within them.
 */
import type { Contraction, Dimension, Window } from './prim.ts'
import type { Dense } from './dense.ts'
import { stridesOf } from './dense.ts'
import { labelsOf } from './infer-contract.ts'

/** A window's part in the offset, looked up at [index of the loop `outer`][index of the loop that completes it]. */
type Lookup = { readonly outer: number; readonly table: Int32Array }
type Side = { readonly stride: number; readonly lookups: readonly Lookup[] }
type Loop = { readonly size: number; readonly a: Side; readonly b: Side }

const lookup = (window: Window, extent: number, stride: number, loops: readonly string[], sizes: Contraction['sizes'], inner: string): Lookup => {
  const outerLabel = window.p === inner ? window.k : window.p
  const [n, m] = [sizes[outerLabel]!, sizes[inner]!]
  const table = new Int32Array(n * m)
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      const [p, k] = window.p === inner ? [j, i] : [i, j]
      const position = (p * window.stride + k * window.dilation - window.pad) / window.base
      table[i * m + j] = Number.isInteger(position) && position >= 0 && position < extent ? position * stride : -1
    }
  }
  return { outer: loops.indexOf(outerLabel), table }
}

/** What the loop over `label` at `depth` does to one operand's offset. */
const side = (x: Dense, dims: readonly Dimension[], loops: readonly string[], depth: number, sizes: Contraction['sizes']): Side => {
  const strides = stridesOf(x.shape)
  const label = loops[depth]!
  const axis = dims.indexOf(label)
  return {
    stride: axis < 0 ? 0 : strides[axis]!,
    lookups: dims.flatMap((dim, i) =>
      typeof dim !== 'string' && Math.max(loops.indexOf(dim.p), loops.indexOf(dim.k)) === depth
        ? [lookup(dim, x.shape[i]!, strides[i]!, loops, sizes, label)]
        : [],
    ),
  }
}

/** The row-major data of the contraction, `length` elements long. */
export const contract = (a: Dense, b: Dense, { sizes, a: aDims, b: bDims, out }: Contraction, length: number): Float64Array => {
  const windowed = [...aDims, ...bDims].flatMap(dim => (typeof dim === 'string' ? [] : labelsOf([dim])))
  const summed = [...new Set([...labelsOf(aDims), ...labelsOf(bDims)])].filter(label => !out.includes(label))
  // Summed labels of windows go first: what they rule out is then skipped early, and the innermost loop is a plain one.
  const order = [...out, ...summed.filter(label => windowed.includes(label)), ...summed.filter(label => !windowed.includes(label))]
  const loops: readonly Loop[] = order.map((label, depth) => ({
    size: sizes[label]!,
    a: side(a, aDims, order, depth, sizes),
    b: side(b, bDims, order, depth, sizes),
  }))
  const index = new Int32Array(order.length)
  const [left, right] = [a.data, b.data]
  const result = new Float64Array(length)
  let written = 0

  const moved = (lookups: readonly Lookup[], size: number, i: number): number => {
    let move = 0
    for (const { outer, table } of lookups) {
      const found = table[index[outer]! * size + i]!
      if (found < 0) return -1
      move += found
    }
    return move
  }

  /** The sum over all loops from `depth` on, with the operands at offsets `at` and `bt`. */
  const total = (depth: number, at: number, bt: number): number => {
    if (depth === order.length) return left[at]! * right[bt]!
    const { size, a: la, b: lb } = loops[depth]!
    let sum = 0
    if (depth === order.length - 1 && la.lookups.length === 0 && lb.lookups.length === 0) {
      for (let i = 0; i < size; i++) sum += left[at + i * la.stride]! * right[bt + i * lb.stride]!
      return sum
    }
    for (let i = 0; i < size; i++) {
      const [am, bm] = [moved(la.lookups, size, i), moved(lb.lookups, size, i)]
      if (am < 0 || bm < 0) continue
      index[depth] = i
      sum += total(depth + 1, at + i * la.stride + am, bt + i * lb.stride + bm)
    }
    return sum
  }

  /** Fills the results under loop `depth` in row-major order; `zero`: a window has already ruled them out. */
  const fill = (depth: number, at: number, bt: number, zero: boolean): void => {
    if (depth === out.length) {
      result[written++] = zero ? 0 : total(depth, at, bt)
      return
    }
    const { size, a: la, b: lb } = loops[depth]!
    for (let i = 0; i < size; i++) {
      const [am, bm] = zero ? [0, 0] : [moved(la.lookups, size, i), moved(lb.lookups, size, i)]
      index[depth] = i
      fill(depth + 1, at + i * la.stride + am, bt + i * lb.stride + bm, zero || am < 0 || bm < 0)
    }
  }
  fill(0, 0, 0, false)
  return result
}
