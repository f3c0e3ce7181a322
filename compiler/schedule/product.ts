/**
 * The schedule of products: packed, register-blocked matrix multiplication. Variables in operand a only are rows, in b only
 * columns, in both batches; windows, guards and activations disappear in the packing. The inner loop keeps a tile of 4 x 8
 * sums in vectors; finished blocks pass through the stores as an element-wise kernel of its own.
 */
import { collapse, kernelIndices } from './collapse.ts'
import { blocked } from './blocks.ts'
import { byStride, loops, open } from './elementwise.ts'
import { varsOf } from './dependence.ts'
import { type Dialect, divided, multiplied, perform } from './expression.ts'
import type { Expr, Index, Kernel, Var } from './kernel.ts'
import { type Local, type Scheduled, type Value, apply, constOf, i32 } from './nest.ts'
import { type Composite, type Depth, decode, pack, sizeOf } from './pack.ts'

/** What a packed block may hold, in elements. */
const blockElements = 96 * 1024
const rowChunk = 128

export type Roles = { readonly batch: Composite; readonly rows: Composite; readonly columns: Composite; readonly a: Expr; readonly b: Expr }
const roundUp = (n: number, by: number): number => Math.ceil(n / by) * by

const strideIn = (kernel: Kernel, v: Var): number => Math.abs(kernel.stores[0]?.at.terms.find(t => t.atom.kind === 'var' && t.atom.id === v.id)?.coef ?? 0)

/** Which operand gives the rows: the one that makes stores contiguous and wastes least of the tile. */
export const rolesOf = (kernel: Kernel, a: Expr, b: Expr): Roles => {
  const [inA, inB] = [varsOf(a), varsOf(b)]
  const at = kernel.stores[0]?.at
  const only = (x: ReadonlySet<number>, y: ReadonlySet<number>): Composite => byStride(kernel.vars.filter(v => x.has(v.id) && !y.has(v.id)), at)
  const batch = byStride(kernel.vars.filter(v => inA.has(v.id) === inB.has(v.id)), at)
  const steps = sizeOf(kernel.reduction?.vars ?? [])
  const cost = (rows: Composite, columns: Composite): number => {
    const last = columns[columns.length - 1]
    const unit = last !== undefined && strideIn(kernel, last) === 1
    return (roundUp(sizeOf(rows), 4) * roundUp(sizeOf(columns), 8) * steps) / 16 + sizeOf(rows) * sizeOf(columns) * (unit ? 1 : 4)
  }
  const [x, y] = [only(inA, inB), only(inB, inA)]
  return cost(x, y) <= cost(y, x) ? { batch, rows: x, columns: y, a, b } : { batch, rows: y, columns: x, a: b, b: a }
}

/** Whether packing pays: enough work per packed element, and a tile that is not mostly padding. */
const worthwhile = ({ rows, columns }: Roles, steps: number): boolean => {
  const [m, n] = [sizeOf(rows), sizeOf(columns)]
  return m >= 2 && n >= 4 && steps >= 8 && m * n * steps >= 4096 && (m * n) / (roundUp(m, 4) * roundUp(n, 8)) >= 0.4
}

const joined = (kernel: Kernel, vars: Composite): { readonly kernel: Kernel; readonly vars: Composite } => {
  const done = collapse({ ...kernel, vars, reduction: null })
  return { kernel: done, vars: byStride(done.vars, done.stores[0]?.at) }
}

/** Schedules a product, or null where the direct schedule is better. Scratch spaces are numbered from `space` on. */
export const packed = (given: Kernel, counters: readonly Var[], dialect: Dialect, space: number): Scheduled | null => {
  const kernel = collapse(given)
  const { reduction } = kernel
  if (reduction === null || reduction.kind !== 'product') return null
  const roles = rolesOf(kernel, reduction.a, reduction.b)
  const steps = sizeOf(reduction.vars)
  if (!worthwhile(roles, steps)) return null

  const { unit } = dialect
  const [m, n] = [sizeOf(roles.rows), sizeOf(roles.columns)]
  const [mp, np] = [roundUp(m, 4), roundUp(n, 8)]
  const operandIndices = kernelIndices({ reduction: { kind: 'reduce', op: 'sum', vars: [], value: roles.b, dtype: 'f32' }, stores: [] })
  const reads = (i: Index): boolean => i.terms.some(t => reduction.vars.some(v => t.atom.kind === 'var' && t.atom.id === v.id))
  const split = blocked(byStride(reduction.vars, operandIndices.find(reads)))
  const depthMax = split.chunk * sizeOf(split.inner.slice(1))
  const once = split.outer.length === 0 && split.chunk >= (split.inner[0]?.size ?? 1)
  const aWhole = mp <= np
  const limit = Math.max(8, Math.floor(blockElements / depthMax / 8) * 8)
  const block = Math.min(limit, aWhole ? np : roundUp(mp, 8))
  const [spaceA, spaceB, spaceC] = [space, space + 1, space + 2]
  const bytes = (elements: number): number => elements * 4
  const [blockM, blockN] = aWhole ? [mp, block] : [block, np]
  const ldc = once ? blockN : np
  const scratch = [
    { space: spaceA, bytes: bytes(blockM * depthMax), each: 'thread' as const },
    { space: spaceB, bytes: bytes(roundUp(blockN, 8) * depthMax), each: 'thread' as const },
    { space: spaceC, bytes: bytes((once ? roundUp(blockM, 4) : mp) * ldc), each: 'thread' as const },
  ]

  const scope = open(kernel.name, counters, dialect)
  const { b } = scope
  for (const s of scratch) b.changes(s.space)

  /** C[i .. i+3, j .. j+7] (+)= a panel of a times a panel of b, at positions in units. */
  const tile = (pa: Value, pb: Value, length: Value, pc: Value): void => {
    const sums = [0, 1, 2, 3].map(r => [0, 1].map(c => b.variable('f32x4', `c${r}${c}`)))
    sums.forEach((row, r) =>
      row.forEach((sum, c) => b.set(sum, once ? constOf('f32x4', 0) : { kind: 'load', type: 'f32x4', space: spaceC, at: pc, offset: r * ldc + 4 * c })),
    )
    const next = b.variable('i32', 'pb')
    b.set(next, pb)
    b.loop('pa', pa, b.call('add', 'i32', pa, length), 4 * unit, at => {
      const right = [0, 1].map(c => b.variable('f32x4', `b${c}`))
      right.forEach((local, c) => b.set(local, { kind: 'load', type: 'f32x4', space: spaceB, at: next, offset: 4 * c }))
      sums.forEach((row, r) => {
        const left = b.variable('f32x4', `a${r}`)
        b.set(left, apply('splat', 'f32x4', { kind: 'load', type: 'f32', space: spaceA, at, offset: r }))
        row.forEach((sum, c) => b.set(sum, apply('fma', 'f32x4', left, right[c]!, sum)))
      })
      b.set(next, apply('add', 'i32', next, i32(8 * unit)))
    })
    sums.forEach((row, r) => row.forEach((sum, c) => b.store(spaceC, pc, r * ldc + 4 * c, sum)))
  }

  /** All tiles of a block: rows and columns count from the block's start; `row0`, `column0` are where it lies within C. */
  const multiply = (rowsHere: Value, columnsHere: Value, depth: Value, row0: Value, column0: Value): void => {
    const length = multiplied(b, depth, 4 * unit)
    b.loop('chunk', i32(0), rowsHere, rowChunk, chunk => {
      const end = b.call('min', 'i32', b.call('add', 'i32', chunk, i32(rowChunk)), rowsHere)
      b.loop('column', i32(0), columnsHere, 8, j => {
        const pb = b.call('add', 'i32', scope.own, multiplied(b, b.call('mul', 'i32', j, depth), unit))
        b.loop('row', chunk, end, 4, i => {
          const pa = b.call('add', 'i32', scope.own, multiplied(b, b.call('mul', 'i32', i, depth), unit))
          const line = b.call('add', 'i32', scope.own, multiplied(b, b.call('add', 'i32', row0, i), ldc * unit))
          const pc = b.call('add', 'i32', line, multiplied(b, b.call('add', 'i32', column0, j), unit))
          tile(pa, pb, length, pc)
        })
      })
    })
  }

  /** The stores for rows and columns of a finished block, which begins at (fromRow, fromColumn) of the whole. */
  const finish = (vars: ReadonlyMap<number, Value>, fromRow: Value, toRow: Value, fromColumn: Value, toColumn: Value, row0: Value, column0: Value): void => {
    const byColumns = joined(kernel, roles.columns)
    const byRows = joined(byColumns.kernel, roles.rows)
    const { stores } = byRows.kernel
    const lane = byColumns.vars[byColumns.vars.length - 1]
    b.loop('i', fromRow, toRow, 1, i => {
      const rowVars = new Map([...vars, ...decode(b, byRows.vars, i)])
      const line = b.call('add', 'i32', scope.own, multiplied(b, b.call('sub', 'i32', i, row0), ldc * unit))
      const body = (wide: boolean) => (j: Local): void => {
        const at = b.call('add', 'i32', line, multiplied(b, b.call('sub', 'i32', j, column0), unit))
        const acc = b.load(wide ? 'f32x4' : 'f32', spaceC, at)
        const here = new Map([...rowVars, ...decode(b, byColumns.vars, j)])
        perform({ b, dialect, vars: here, along: wide ? { id: lane!.id, aligned: true } : null, lane: null, acc, copy: 0, skip: 0 }, stores)
      }
      if (lane !== undefined && lane.size % 4 === 0) return b.loop('j', fromColumn, toColumn, 4, body(true))
      if (byColumns.vars.length !== 1) return b.loop('j', fromColumn, toColumn, 1, body(false))
      const whole = b.call('and', 'i32', toColumn, i32(-4))
      b.loop('j', fromColumn, whole, 4, body(true))
      b.loop('j', whole, toColumn, 1, body(false))
    })
  }

  const zero = (): void => b.loop('z', i32(0), i32(mp * np * unit), 4 * unit, z => b.store(spaceC, b.call('add', 'i32', scope.own, z), 0, constOf('f32x4', 0)))
  const half = (x: Value): Value => divided(b, x, 'div', 4)
  const panelsA = { expr: roles.a, vars: roles.rows, space: spaceA, width: 4 as const }
  const panelsB = { expr: roles.b, vars: roles.columns, space: spaceB, width: 8 as const }

  const blockOf = (vars: ReadonlyMap<number, Value>, depth: Depth): void => {
    const extent = b.call('mul', 'i32', b.call('sub', 'i32', depth.to, depth.from), i32(sizeOf(depth.vars.slice(1))))
    const here = depth.vars.length === 0 ? i32(1) : extent
    if (aWhole) pack(scope, vars, panelsA, depth, here, i32(0), i32(mp / 4))
    else pack(scope, vars, panelsB, depth, here, i32(0), i32(np / 4))
    b.loop('block', i32(0), i32(aWhole ? np : mp), block, from => {
      const to = b.call('min', 'i32', b.call('add', 'i32', from, i32(block)), i32(aWhole ? np : mp))
      const size = b.call('sub', 'i32', to, from)
      pack(scope, vars, aWhole ? panelsB : panelsA, depth, here, half(from), half(to))
      const [row0, column0] = aWhole ? [i32(0), from] : [from, i32(0)]
      if (aWhole) multiply(i32(mp), size, here, i32(0), once ? i32(0) : from)
      else multiply(size, i32(np), here, once ? i32(0) : from, i32(0))
      if (!once) return
      const end = b.call('min', 'i32', to, i32(aWhole ? n : m))
      if (aWhole) finish(vars, i32(0), i32(m), from, end, row0, column0)
      else finish(vars, from, end, i32(0), i32(n), row0, column0)
    })
  }
  const body = (vars: ReadonlyMap<number, Value>): void => {
    const [first, ...rest] = split.inner
    if (once) return blockOf(vars, { vars: split.inner, from: i32(0), to: i32(first?.size ?? 1) })
    zero()
    loops(b, split.outer, vars, outer =>
      b.loop('depth', i32(0), i32(first!.size), split.chunk, from => {
        const next = b.call('add', 'i32', from, i32(split.chunk))
        const to = first!.size % split.chunk === 0 ? next : b.call('min', 'i32', next, i32(first!.size))
        blockOf(outer, { vars: [first!, ...rest], from, to })
      }),
    )
    finish(vars, i32(0), i32(m), i32(0), i32(n), i32(0), i32(0))
  }
  const [first, ...others] = roles.batch
  b.loop(first?.name ?? 'part', scope.lo, scope.hi, 1, i => loops(b, others, first === undefined ? scope.vars : new Map([...scope.vars, [first.id, i]]), body))
  return { nests: [b.finish(first?.size ?? 1)], scratch }
}
