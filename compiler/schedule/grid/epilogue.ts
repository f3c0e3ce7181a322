/**
 * What happens to finished sums: the stores of a product, row by row, four columns at a time, with the sums read from where
 * the tiles left them. Columns in residue classes lie class by class; they are put together again here, so that
 * stores (and whatever else their values load) go through memory in order.
 */
import type { Scope, Vars } from '../nest/loops.ts'
import { divided, multiplied } from '../nest/builder.ts'
import { type Env, perform } from '../nest/expression.ts'
import type { Store, Var } from '../kernel/kernel.ts'
import { type Type, type Value, i32 } from '../nest/nest.ts'
import { type Composite, decode } from '../nest/composite.ts'

/** A variable of columns: those from `from` to `to`; column `by * (start + i) + r` has its sums at r * classes + i * stride elements. */
export type Line = {
  readonly column: Var
  readonly from: Value
  readonly to: Value
  readonly by: number
  readonly start: Value
  readonly classes: number
  readonly stride: number
}

export type Finished = {
  readonly rows: Composite
  readonly from: Value
  readonly to: Value
  /** Elements from one row of sums to the next. */
  readonly rowStride: number
  /** From the outside in; the last is the one along which sums are neighbours (within a class), beginning at 0. */
  readonly lines: readonly Line[]
  /** The sum or sums at a position (in units). */
  readonly sums: (type: Type, at: Value) => Value
}

const isZero = (v: Value): boolean => v.kind === 'const' && v.value === 0

/** Performs the stores of a product for all rows and columns that are finished. */
export const epilogue = ({ b, dialect }: Pick<Scope, 'b' | 'dialect'>, scope: Vars, stores: readonly Store[], finished: Finished): void => {
  const { unit } = dialect
  const { rows, lines, sums } = finished
  const lane = lines[lines.length - 1]!
  const env = (vars: ReadonlyMap<number, Value>, wide: boolean, acc: Value): Env =>
    ({ b, dialect, vars, along: wide ? { id: lane.column.id, aligned: true } : null, lane: null, acc, copy: 0, skip: 0 })
  const plus = (x: Value, y: Value): Value => b.call('add', 'i32', x, y)
  const place = (line: Line, i: Value): Value => {
    const counted = line.by === 1 ? i : divided(b, i, 'div', line.by)
    const within = multiplied(b, isZero(line.start) ? counted : b.call('sub', 'i32', counted, line.start), line.stride * unit)
    return line.by === 1 ? within : plus(within, multiplied(b, divided(b, i, 'mod', line.by), line.classes * unit))
  }
  const row = (vars: ReadonlyMap<number, Value>, at: Value): void => {
    const here = (i: Value): ReadonlyMap<number, Value> => new Map([...vars, [lane.column.id, i]])
    const one = (i: Value): void => perform(env(here(i), false, sums('f32', plus(at, place(lane, i)))), stores)
    const four = (i: Value): void => {
      if (lane.by === 1) return perform(env(here(i), true, sums('f32x4', plus(at, place(lane, i)))), stores)
      const start = plus(at, multiplied(b, divided(b, i, 'div', 2), unit))
      const [even, odd] = [sums('f32x4', start), sums('f32x4', plus(start, i32(lane.classes * unit)))]
      perform(env(here(i), true, b.let({ kind: 'shuffle', type: 'f32x4', a: even, b: odd, lanes: [0, 4, 1, 5] })), stores)
    }
    const whole = lane.by <= 2 ? lane.column.size - (lane.column.size % 4) : 0
    b.loop(lane.column.name, i32(0), i32(whole), 4, four)
    b.loop(lane.column.name, i32(whole), i32(lane.column.size), 1, one)
  }
  const go = ([line, ...more]: readonly Line[], vars: ReadonlyMap<number, Value>, at: Value): void => {
    if (line === undefined || more.length === 0) return row(vars, at)
    b.loop(line.column.name, line.from, line.to, 1, i => go(more, new Map([...vars, [line.column.id, i]]), plus(at, place(line, i))))
  }
  b.loop('i', finished.from, finished.to, 1, i =>
    go(lines, new Map([...scope, ...decode(b, rows, i)]), multiplied(b, b.call('sub', 'i32', i, finished.from), finished.rowStride * unit)))
}
