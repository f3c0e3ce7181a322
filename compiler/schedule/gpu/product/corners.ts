/**
 * Where tiles begin. Those of one batch come one after the other, along the shorter side first: those that run together share most of what they
 * read.
 */
import { divided, multiplied } from '../../nest/builder.ts'
import { type Composite, decode } from '../../nest/composite.ts'
import type { Vars } from '../../nest/loops.ts'
import { type Value, i32 } from '../../nest/nest.ts'
import type { Threads } from '../threads.ts'

/** Variables of the batch and of the loops around, and the first row and column of a tile. */
export type Corner = { readonly vars: Vars; readonly row: Value; readonly column: Value }

/** Tiles of so many rows and columns, so many down and across. */
export type Tiling = { readonly batch: Composite; readonly down: number; readonly across: number; readonly rows: number; readonly columns: number }

/** The corner of tile `at`. */
export const cornersOf = ({ batch, down, across, rows, columns }: Tiling) => ({ b, vars }: Threads, at: Value): Corner => {
  const [inner, outer] = down <= across ? [down, across] : [across, down]
  const [fast, rest] = inner === 1 ? [i32(0), at] : [divided(b, at, 'mod', inner), divided(b, at, 'div', inner)]
  const [slow, of] = outer === 1 ? [i32(0), rest] : [divided(b, rest, 'mod', outer), divided(b, rest, 'div', outer)]
  const [i, j] = down <= across ? [fast, slow] : [slow, fast]
  return { vars: new Map([...vars, ...decode(b, batch, of)]), row: multiplied(b, i, rows), column: multiplied(b, j, columns) }
}
