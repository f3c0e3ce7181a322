/**
 * The schedule of products: packed, register-blocked matrix multiplication. Guards and activations disappear in the packing;
 * finished blocks pass through the stores as an element-wise kernel of its own. The shorter side is packed first where it
 * serves several parts; parts are blocks of the longer one, or pieces of a long sum whose results a last nest adds up.
 */
import { addingShare, blocked, leastParts, packingShare, roundUp, shorter } from './blocks.ts'
import { type Builder, divided, multiplied } from '../nest/builder.ts'
import { collapse } from '../kernel/collapse.ts'
import { type Composite, decode, sizeOf } from '../nest/composite.ts'
import { type Dialect, perform } from '../nest/expression.ts'
import { firstRead } from '../grid/gridded.ts'
import type { Kernel, Var } from '../kernel/kernel.ts'
import { type Scope, type Vars, byStride, open } from '../nest/loops.ts'
import { type Local, type Nest, type Scheduled, type Type, type Value, apply, constOf, i32 } from '../nest/nest.ts'
import { type Depth, pack } from './pack.ts'
import { leastBlock, planOf, rolesOf, sumElements, worthwhile } from './roles.ts'
import { tile, tileColumns, tileRows } from './tile.ts'

/** Rows that stay in the cache while columns pass by. */
const rowChunk = 128

const joined = (kernel: Kernel, vars: Composite): { readonly kernel: Kernel; readonly vars: Composite } => {
  const done = collapse({ ...kernel, vars, reduction: null })
  return { kernel: done, vars: byStride(done.vars, done.stores[0]?.at) }
}

/** Schedules a product, or null where the direct schedule is better. Scratch spaces are numbered from `space` on. */
export const packed = (given: Kernel, counters: readonly Var[], dialect: Dialect, space: number, fresh: () => number): Scheduled | null => {
  const kernel = collapse(given)
  const { reduction } = kernel
  if (reduction === null || reduction.kind !== 'product') return null
  const roles = rolesOf(kernel, reduction.a, reduction.b)
  const steps = sizeOf(reduction.vars)
  if (!worthwhile(roles, steps)) return null

  const { unit } = dialect
  const { batch } = roles
  const [m, n] = [sizeOf(roles.rows), sizeOf(roles.columns)]
  const [mp, np] = [roundUp(m, tileRows), roundUp(n, tileColumns)]
  const aWhole = mp <= np
  const order = byStride(reduction.vars, firstRead(roles.b, reduction.vars))
  const wholeSum = blocked(order)
  const small = Math.ceil(leastParts / sizeOf(batch))
  // a sum that will be split needs turns to hand out
  const { outer, inner, chunk } = mp * np * small <= sumElements && Math.max(mp, np) < leastBlock * small ? shorter(wholeSum, small) : wholeSum
  const first: Var = inner[0] ?? { id: fresh(), size: 1, name: 'k' }
  const below = sizeOf(inner.slice(1))
  const depth = chunk * below
  const chunks: Var = { id: fresh(), size: Math.ceil(first.size / chunk), name: 'chunk' }
  const turns = sizeOf(outer) * chunks.size
  const plan = planOf(mp, np, sizeOf(batch), steps, depth, turns)
  const each = plan.kind === 'splits' ? plan.each : turns
  const shared = plan.kind === 'blocks' && plan.count > 1
  const [blockM, blockN] = plan.kind === 'splits' ? [mp, np] : aWhole ? [mp, plan.block] : [plan.block, np]
  const rowStride = blockN
  const sumSize = roundUp(blockM, tileRows) * rowStride

  const [spaceA, spaceB, spaceC] = [space, space + 1, space + 2]
  const ofThread = (at: number, elements: number) => ({ space: at, bytes: 4 * elements, each: 'thread' as const })
  const ofKernel = (at: number, elements: number) => ({ space: at, bytes: 4 * elements, each: 'kernel' as const })
  const wholeSize = (aWhole ? mp : np) * steps
  const scratch = [
    shared && aWhole ? ofKernel(spaceA, wholeSize * sizeOf(batch)) : ofThread(spaceA, blockM * depth),
    shared && !aWhole ? ofKernel(spaceB, wholeSize * sizeOf(batch)) : ofThread(spaceB, roundUp(blockN, tileColumns) * depth),
    plan.kind === 'splits' ? ofKernel(spaceC, sumSize * plan.count * sizeOf(batch)) : ofThread(spaceC, sumSize),
  ]
  const panelsA = { expr: roles.a, vars: roles.rows, space: spaceA, width: 4 as const, many: true }
  const panelsB = { expr: roles.b, vars: roles.columns, space: spaceB, width: 8 as const, many: true }
  const sides = aWhole ? { whole: panelsA, long: panelsB } : { whole: panelsB, long: panelsA }
  const parts: Var = { id: fresh(), size: plan.count, name: plan.kind }

  /** A block of steps: where it begins among all of them, and how many it has. */
  type Turn = { readonly vars: ReadonlyMap<number, Value>; readonly depth: Depth; readonly here: Value; readonly start: Value }
  const turnOf = (b: Builder, vars: ReadonlyMap<number, Value>, turn: Value): Turn => {
    if (turns === 1) return { vars, depth: { vars: inner, from: i32(0), to: i32(first.size) }, here: i32(depth), start: i32(0) }
    const at = decode(b, [...outer, chunks], turn)
    const from = chunks.size === 1 ? i32(0) : multiplied(b, at.get(chunks.id)!, chunk)
    const next = b.call('add', 'i32', from, i32(chunk))
    const to = first.size % chunk === 0 ? next : b.call('min', 'i32', next, i32(first.size))
    const before = outer.length === 0 ? i32(0) : multiplied(b, divided(b, turn, 'div', chunks.size), first.size * below)
    const start = b.call('add', 'i32', before, multiplied(b, from, below))
    return { vars: new Map([...vars, ...at]), depth: { vars: inner, from, to }, here: multiplied(b, b.call('sub', 'i32', to, from), below), start }
  }
  const overTurns = (b: Builder, from: Value, to: Value, body: (turn: Value) => void): void => (turns === 1 ? body(i32(0)) : b.loop('turn', from, to, 1, body))

  /** The side that serves all blocks: sixteen rows or columns a part. */
  const packing = (): Nest => {
    const scope = open(`${kernel.name}_pack`, counters, dialect)
    const { b } = scope
    const size = aWhole ? mp : np
    const lines: Var = { id: fresh(), size: Math.ceil(size / 16), name: 'line' }
    b.loop('part', scope.lo, scope.hi, 1, part => {
      const decoded = decode(b, [...batch, lines], part)
      const vars = new Map([...scope.vars, ...decoded])
      const line = multiplied(b, decoded.get(lines.id)!, 16)
      const to = b.call('min', 'i32', b.call('add', 'i32', line, i32(16)), i32(size))
      overTurns(b, i32(0), i32(turns), turn => {
        const now = turnOf(b, vars, turn)
        const base = b.call('add', 'i32', multiplied(b, b.call('div', 'i32', part, i32(lines.size)), wholeSize), multiplied(b, now.start, size))
        const at = multiplied(b, b.call('add', 'i32', base, b.call('mul', 'i32', line, now.here)), unit)
        pack({ b, dialect, own: at }, now.vars, sides.whole, now.depth, now.here, divided(b, line, 'div', 4), divided(b, to, 'div', 4))
      })
    })
    return b.finish(sizeOf(batch) * lines.size)
  }

  /** All tiles of a block whose panels and sums lie at these positions. */
  const multiply = (b: Builder, at: { readonly a: Value; readonly b: Value; readonly sums: Value }, rows: Value, columns: Value, here: Value): void => {
    const plus = (x: Value, y: Value): Value => b.call('add', 'i32', x, y)
    const length = multiplied(b, here, tileRows * unit)
    b.loop('chunk', i32(0), rows, rowChunk, start => {
      const end = b.call('min', 'i32', plus(start, i32(rowChunk)), rows)
      b.loop('column', i32(0), columns, tileColumns, j => {
        const right = plus(at.b, multiplied(b, b.call('mul', 'i32', j, here), unit))
        const sums = plus(at.sums, multiplied(b, j, unit))
        b.loop('row', start, end, tileRows, i =>
          tile(b, unit, {
            left: { space: spaceA, at: plus(at.a, multiplied(b, b.call('mul', 'i32', i, here), unit)) },
            right: { kind: 'panel', space: spaceB, at: right }, length, fresh: each === 1,
            sums: { space: spaceC, at: plus(sums, multiplied(b, i, rowStride * unit)), stride: rowStride, rows: Math.min(m, tileRows) },
          }),
        )
      })
    })
  }

  const main = (): Nest => {
    const scope = open(kernel.name, counters, dialect)
    const { b, own } = scope
    for (const s of scratch) if (s.each === 'thread' || s.space === spaceC) b.changes(s.space)
    const plus = (x: Value, y: Value): Value => b.call('add', 'i32', x, y)
    b.loop('part', scope.lo, scope.hi, 1, part => {
      const decoded = decode(b, [...batch, parts], part)
      const vars = new Map([...scope.vars, ...decoded])
      const index = decoded.get(parts.id)!
      const sums = plan.kind === 'splits' ? multiplied(b, part, sumSize * unit) : own
      if (each > 1) b.loop('z', i32(0), i32(sumSize * unit), 4 * unit, z => b.store(spaceC, plus(sums, z), 0, constOf('f32x4', 0)))
      if (plan.kind === 'splits') {
        const from = multiplied(b, index, each)
        return overTurns(b, from, b.call('min', 'i32', plus(from, i32(each)), i32(turns)), turn => {
          const now = turnOf(b, vars, turn)
          pack(scope, now.vars, panelsA, now.depth, now.here, i32(0), i32(mp / 4))
          pack(scope, now.vars, panelsB, now.depth, now.here, i32(0), i32(np / 4))
          multiply(b, { a: own, b: own, sums }, i32(mp), i32(np), now.here)
        })
      }
      const from = plan.count === 1 ? i32(0) : multiplied(b, index, plan.block)
      const to = plan.count === 1 ? i32(aWhole ? np : mp) : b.call('min', 'i32', plus(from, i32(plan.block)), i32(aWhole ? np : mp))
      const size = b.call('sub', 'i32', to, from)
      overTurns(b, i32(0), i32(turns), turn => {
        const now = turnOf(b, vars, turn)
        if (!shared) pack(scope, now.vars, sides.whole, now.depth, now.here, i32(0), i32((aWhole ? mp : np) / 4))
        pack(scope, now.vars, sides.long, now.depth, now.here, divided(b, from, 'div', 4), divided(b, to, 'div', 4))
        const which = multiplied(b, b.call('div', 'i32', part, i32(plan.count)), wholeSize)
        const whole = shared ? multiplied(b, plus(which, multiplied(b, now.start, aWhole ? mp : np)), unit) : own
        multiply(b, aWhole ? { a: whole, b: own, sums } : { a: own, b: whole, sums }, aWhole ? i32(mp) : size, aWhole ? size : i32(np), now.here)
      })
      const end = b.call('min', 'i32', to, i32(aWhole ? n : m))
      finish(scope, vars, aWhole ? [i32(0), i32(m)] : [from, end], aWhole ? [from, end] : [i32(0), i32(n)], (type, at) => b.load(type, spaceC, plus(own, at)))
    })
    return b.finish(sizeOf(batch) * plan.count)
  }

  /** The stores for rows and columns of finished sums, which begin at the first of each. */
  type Range = readonly [from: Value, to: Value]
  const finish = (scope: Scope, vars: Vars, rows: Range, columns: Range, sums: (type: Type, at: Value) => Value): void => {
    const { b } = scope
    const byColumns = joined(kernel, roles.columns)
    const byRows = joined(byColumns.kernel, roles.rows)
    const { stores } = byRows.kernel
    const lane = byColumns.vars[byColumns.vars.length - 1]
    const from = (x: Value, start: Value): Value => (start.kind === 'const' && start.value === 0 ? x : b.call('sub', 'i32', x, start))
    b.loop('i', rows[0], rows[1], 1, i => {
      const rowVars = new Map([...vars, ...decode(b, byRows.vars, i)])
      const line = multiplied(b, from(i, rows[0]), rowStride * unit)
      const body = (wide: boolean) => (j: Local): void => {
        const acc = sums(wide ? 'f32x4' : 'f32', b.call('add', 'i32', line, multiplied(b, from(j, columns[0]), unit)))
        const here = new Map([...rowVars, ...decode(b, byColumns.vars, j)])
        perform({ b, dialect, vars: here, along: wide ? { id: lane!.id, aligned: true } : null, lane: null, acc, copy: 0, skip: 0 }, stores)
      }
      if (lane !== undefined && lane.size % 4 === 0) return b.loop('j', columns[0], columns[1], 4, body(true))
      if (byColumns.vars.length !== 1) return b.loop('j', columns[0], columns[1], 1, body(false))
      const whole = b.call('and', 'i32', columns[1], i32(-4))
      b.loop('j', columns[0], whole, 4, body(true))
      b.loop('j', whole, columns[1], 1, body(false))
    })
  }

  const total = (count: number): Nest => {
    const scope = open(`${kernel.name}_sum`, counters, dialect)
    const { b } = scope
    const row: Var = { id: fresh(), size: m, name: 'row' }
    b.loop('part', scope.lo, scope.hi, 1, part => {
      const decoded = decode(b, [...batch, row], part)
      const i = decoded.get(row.id)!
      const start = b.call('add', 'i32', multiplied(b, b.call('div', 'i32', part, i32(m)), count * sumSize * unit), multiplied(b, i, rowStride * unit))
      const sums = (type: Type, at: Value): Value =>
        Array.from({ length: count }, (_, s) => b.load(type, spaceC, b.call('add', 'i32', start, at), s * sumSize))
          .reduce((x, y) => b.let(apply('add', type, x, y)))
      finish(scope, new Map([...scope.vars, ...decoded]), [i, b.call('add', 'i32', i, i32(1))], [i32(0), i32(n)], sums)
    })
    return b.finish(sizeOf(batch) * m)
  }
  if (plan.kind === 'splits') return { nests: [main(), total(plan.count)], scratch, shares: [1, addingShare(plan.count, steps)] }
  return shared ? { nests: [packing(), main()], scratch, shares: [packingShare(aWhole ? n : m), 1] } : { nests: [main()], scratch }
}
