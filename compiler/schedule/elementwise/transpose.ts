/**
 * Transpositions: where every load is contiguous along one variable and every store along another, tiles of four by four
 * are computed in vectors of the first and turned in registers.
 */
import type { Builder } from '../nest/builder.ts'
import { strideAlong } from '../kernel/dependence.ts'
import { address, lower } from '../nest/expression.ts'
import { flushed } from '../nest/flush.ts'
import type { Kernel, Var } from '../kernel/kernel.ts'
import { type Scope, type Vars, envOf } from '../nest/loops.ts'
import { type Local, type Value, vectorOf } from '../nest/nest.ts'
import { loadsOf } from '../kernel/walk.ts'

/** Whether a kernel that stores along `along` is better computed along `across`. */
export const turnable = ({ reduction, stores }: Kernel, along: Var, across: Var): boolean => {
  const loads = loadsOf(stores.map(s => s.value))
  const stride = (i: (typeof stores)[number]['at'], v: Var): number | null => strideAlong(i, { id: v.id, aligned: true })
  return reduction === null && stores.every(s => stride(s.at, along) === 1) && loads.every(l => stride(l.at, across) === 1 || stride(l.at, across) === 0)
}

/** How many lines are written side by side: one cache line of each that is read, or half of one where the written ones crowd into one set of the cache. */
export const heightOf = ({ stores }: Kernel, across: Var): number =>
  stores.some(s => (strideAlong(s.at, { id: across.id, aligned: true }) ?? 0) % 512 === 0) ? 8 : 16

/** Four vectors, row by row, turned into four vectors column by column. */
export const turned = (b: Builder, [r0, r1, r2, r3]: readonly Value[]): readonly Value[] => {
  const mix = (x: Value, y: Value, lanes: readonly [number, number, number, number]): Value =>
    b.let({ kind: 'shuffle', type: vectorOf(x.type), a: x, b: y, lanes })
  const [t0, t1] = [mix(r0!, r1!, [0, 4, 1, 5]), mix(r2!, r3!, [0, 4, 1, 5])]
  const [t2, t3] = [mix(r0!, r1!, [2, 6, 3, 7]), mix(r2!, r3!, [2, 6, 3, 7])]
  return [mix(t0, t1, [0, 1, 4, 5]), mix(t0, t1, [2, 3, 6, 7]), mix(t2, t3, [0, 1, 4, 5]), mix(t2, t3, [2, 3, 6, 7])]
}

/** The places i .. i+3 of `across` by j .. j+3 of `along`, both multiples of four. */
export const tile = (scope: Scope, { stores }: Kernel, along: Var, j: Local, across: Var, i: Local, vars: Vars): void => {
  const { b } = scope
  const lanes = [0, 1, 2, 3]
  const at = (row: Value): Vars => new Map([...vars, [along.id, row], [across.id, i]])
  const wide = { id: across.id, aligned: true }
  const rows = lanes.map(k => {
    const env = { ...envOf(scope, at(k === 0 ? j : b.call('add', 'i32', j, { kind: 'const', type: 'i32', value: k })), wide), copy: k }
    return stores.map(s => b.splat(flushed(b, s.value, lower(env, s.value))))
  })
  stores.forEach((s, n) =>
    turned(b, rows.map(values => values[n]!)).forEach((column, lane) => {
      const to = address({ ...envOf(scope, at(j), wide), lane }, s.at)
      b.store(s.buffer, to.at, to.offset, column)
    }),
  )
}
