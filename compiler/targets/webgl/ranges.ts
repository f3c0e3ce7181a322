/** The ranges of whole numbers in a nest: what an i32 can be at least and at most, and which comparisons that decides. */
import type { Fn, Value } from '../../schedule/nest/nest.ts'

/** Least and most of an i32. */
export type Range = readonly [low: number, high: number]
export const [lowest, highest] = [-(2 ** 31), 2 ** 31 - 1]
export const anything: Range = [lowest, highest]

const within = (low: number, high: number): Range => (low >= lowest && high <= highest ? [low, high] : anything)
const hull = (xs: readonly number[]): Range => within(Math.min(...xs), Math.max(...xs))

/** `ranges`: those of locals; of others nothing is known. */
export const rangeOf = (v: Value, ranges: ReadonlyMap<number, Range>): Range => {
  if (v.kind === 'const') return [v.value, v.value]
  if (v.kind === 'local') return ranges.get(v.id) ?? anything
  if (v.kind !== 'apply' || v.type !== 'i32') return anything
  const [x, y, z] = v.args
  if (x === undefined || y === undefined || y.type !== 'i32') return anything
  const [[a, b], [c, d]] = [x.type === 'i32' ? rangeOf(x, ranges) : anything, rangeOf(y, ranges)]
  switch (v.fn) {
    case 'add':
      return within(a + c, b + d)
    case 'sub':
      return within(a - d, b - c)
    case 'mul':
      return hull([a * c, a * d, b * c, b * d])
    case 'div':
      return c === d && c > 0 ? [Math.trunc(a / c), Math.trunc(b / c)] : anything
    case 'rem':
      return c === d && c > 0 ? [a < 0 ? 1 - c : 0, b < 0 ? 0 : Math.min(b, c - 1)] : anything
    case 'and':
      return c === d && c >= 0 ? [0, a >= 0 ? Math.min(b, c) : c] : anything
    case 'shr':
      return c === d ? [a >> c, b >> c] : anything
    case 'shl':
      return c === d && c < 31 ? within(a * 2 ** c, b * 2 ** c) : anything
    case 'min':
      return [Math.min(a, c), Math.min(b, d)]
    case 'max':
      return [Math.max(a, c), Math.max(b, d)]
    case 'select':
      return z === undefined ? anything : hull([...rangeOf(y, ranges), ...rangeOf(z, ranges)])
    default:
      return anything
  }
}

/** Whether a comparison holds, where ranges say so. */
export const decided = (fn: Fn, [a, b]: Range, [c, d]: Range): boolean | undefined => {
  switch (fn) {
    case 'lt':
      return b < c ? true : a >= d ? false : undefined
    case 'le':
      return b <= c ? true : a > d ? false : undefined
    case 'gt':
      return decided('lt', [c, d], [a, b])
    case 'ge':
      return decided('le', [c, d], [a, b])
    case 'eq':
      return b < c || a > d ? false : a === b && c === d && a === c ? true : undefined
    case 'ne': {
      const equal = decided('eq', [a, b], [c, d])
      return equal === undefined ? undefined : !equal
    }
    default:
      return undefined
  }
}
