/** What steps on matrices mean to the interpreter of dispatches: half precision, and 16 x 16 numbers that a subgroup holds. */
import type { MatrixStep } from '../../../compiler/schedule/nest/nest.ts'

/** The number of half precision that is nearest to a number, of two the even one. */
export const half = (x: number): number => {
  const size = Math.abs(x)
  if (!(size < 65520)) return Number.isNaN(x) ? NaN : Math.sign(x) * Infinity
  const unit = 2 ** (Math.max(-14, Math.floor(Math.log2(size === 0 ? 1 : size))) - 10)
  const [low, rest] = [Math.floor(x / unit), x / unit - Math.floor(x / unit)]
  return (rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1) * unit
}

const side = 16
/** Matrices row by row, and what the first thread of the subgroup has done with them. */
export type Subgroup = { readonly matrices: Map<number, Float64Array>; readonly done: string[] }
export const freshSubgroup = (): Subgroup => ({ matrices: new Map(), done: [] })

/** Memory as a step sees it, by position. */
export type Cells = { readonly get: (at: number) => number; readonly set: (at: number, value: number) => void }

/** Does a step for a whole subgroup; `position` is what its `at` is. Throws where a matrix has no value. */
export const doStep = ({ matrices }: Subgroup, step: MatrixStep, position: number, cells: Cells): void => {
  const found = (id: number): Float64Array => {
    const matrix = matrices.get(id)
    if (matrix === undefined) throw new RangeError(`a matrix of '${step.op} ${step.matrix.name}' has no value`)
    return matrix
  }
  switch (step.op) {
    case 'zero':
      matrices.set(step.matrix.id, new Float64Array(side * side))
      return
    case 'load':
    case 'store': {
      const matrix = step.op === 'load' ? new Float64Array(side * side) : found(step.matrix.id)
      for (let r = 0; r < side; r += 1)
        for (let c = 0; c < side; c += 1) {
          const [near, distant] = step.matrix.role === 'left' ? [r, c] : [c, r]
          const place = position + step.offset + distant * step.stride + near
          if (step.op === 'load') matrix[side * r + c] = cells.get(place)
          else cells.set(place, matrix[side * r + c]!)
        }
      matrices.set(step.matrix.id, matrix)
      return
    }
    case 'multiply': {
      const [left, right, sum] = [found(step.left.id), found(step.right.id), found(step.matrix.id)]
      for (let r = 0; r < side; r += 1)
        for (let c = 0; c < side; c += 1) {
          let all = sum[side * r + c]!
          for (let k = 0; k < side; k += 1) all += left[side * r + k]! * right[side * k + c]!
          sum[side * r + c] = Math.fround(all)
        }
    }
  }
}
