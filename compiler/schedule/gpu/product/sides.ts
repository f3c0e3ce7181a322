/**
 * The two sides of a product for a grid of workgroups: variables in operand a only are rows, in b only columns, in both or in
 * neither batches. Columns are the side along which the results lie beside each other. How each operand comes into workgroup
 * memory follows from what it costs: sectors of 32 bytes that the threads of a warp touch.
 */
import { strideAlong, varsOf } from '../../kernel/dependence.ts'
import type { Expr, Index, Kernel, Var } from '../../kernel/kernel.ts'
import { type Load, loadsOf } from '../../kernel/walk.ts'
import { type Composite, sizeOf } from '../../nest/composite.ts'
import { byStride } from '../../nest/loops.ts'
import { multiple } from '../elementwise.ts'

export type Sides = {
  readonly kernel: Kernel
  readonly batch: Composite
  readonly rows: Composite
  readonly columns: Composite
  readonly steps: Composite
  readonly a: Expr
  readonly b: Expr
}

const coefOf = (index: Index | undefined, v: Var): number => Math.abs(index?.terms.find(t => t.atom.kind === 'var' && t.atom.id === v.id)?.coef ?? 0)

/** The value of an index where some variables have values and all others are 0; what memory decides counts as 0, too. */
const valueOf = (index: Index, at: ReadonlyMap<number, number>): number =>
  index.terms.reduce((sum, { coef, atom }) => {
    switch (atom.kind) {
      case 'var':
        return sum + coef * (at.get(atom.id) ?? 0)
      case 'div':
        return sum + coef * Math.floor(valueOf(atom.of, at) / atom.by)
      case 'mod':
        return sum + coef * (((valueOf(atom.of, at) % atom.by) + atom.by) % atom.by)
      case 'value':
        return sum
    }
  }, index.offset)

/** Sectors that the loads of an operand touch for the first `lanes` values of a composite index. */
export const sectors = (expr: Expr, vars: Composite, lanes: number): number =>
  loadsOf([expr]).reduce((n, { at }) => {
    const touched = new Set<number>()
    for (let lane = 0; lane < Math.min(lanes, sizeOf(vars)); lane += 1) {
      let rest = lane
      const values = new Map<number, number>()
      for (const v of [...vars].reverse()) {
        values.set(v.id, rest % v.size)
        rest = Math.floor(rest / v.size)
      }
      touched.add(Math.floor(valueOf(at, values) / 8))
    }
    return n + touched.size
  }, 0)

/** The order of the summed variables in which neighbours lie closest together in what is read. */
const stepsOf = (vars: Composite, a: Expr, b: Expr): Composite => {
  const orders = loadsOf([a, b]).map(l => byStride(vars, l.at))
  const cost = (order: Composite): number => sectors(a, order, 16) + sectors(b, order, 16)
  return orders.reduce((best, order) => (cost(order) < cost(best) ? order : best), vars)
}

/** The sides of a product; `kernel` is collapsed. */
export const sidesOf = (kernel: Kernel): Sides | null => {
  const { reduction } = kernel
  if (reduction === null || reduction.kind !== 'product') return null
  const { a, b } = reduction
  const [inA, inB] = [varsOf(a), varsOf(b)]
  const at = kernel.stores[0]?.at
  const only = (x: ReadonlySet<number>, y: ReadonlySet<number>): Composite => byStride(kernel.vars.filter(v => x.has(v.id) && !y.has(v.id)), at)
  const batch = byStride(kernel.vars.filter(v => inA.has(v.id) === inB.has(v.id)), at)
  const [x, y] = [only(inA, inB), only(inB, inA)]
  const steps = stepsOf(reduction.vars, a, b)
  const nearest = (vars: Composite): number => Math.min(...vars.map(v => coefOf(at, v) || Infinity))
  const swap = nearest(x) < nearest(y)
  return swap ? { kernel, batch, rows: y, columns: x, steps, a: b, b: a } : { kernel, batch, rows: x, columns: y, steps, a, b }
}

/** Whether four neighbours along a variable are an aligned vector in memory. */
export const isQuad = (at: Index, v: Var | undefined): boolean =>
  v !== undefined && v.size % 4 === 0 && strideAlong(at, { id: v.id, aligned: true }) === 1 && multiple(at, v)

/** An operand that is memory and nothing else. */
export const plainLoad = (expr: Expr): Load | null => (expr.kind === 'load' && expr.dtype === 'f32' ? expr : null)
