/**
 * Windows that stride backwards (input gradients of strided convolutions, transposed convolutions) count only the steps whose
 * position is divisible by the stride. Where all residues are alike, they become variables: a row y is by * y' + r, a step k is
 * by * k' + s with the s that fits r, and no divisibility is left to check. A processor with many workgroups does all residues
 * in one dispatch, each as a batch of its own: by^2 times the workgroups, by^2 times less work.
 */
import { mapKernel } from '../../kernel/collapse.ts'
import { type Indexing, add, indexKey, indexing, scale, shift, substitute, variable } from '../../kernel/indexing.ts'
import type { Guard, Index, Kernel, Reduction, Var } from '../../kernel/kernel.ts'
import { zeroOutside } from '../../kernel/phases.ts'

const residue = (a: number, by: number): number => ((a % by) + by) % by

/** x with a * x = 1 modulo `by`; undefined where there is none. */
const inverse = (a: number, by: number): number | undefined => Array.from({ length: by }, (_, x) => x).find(x => residue(a * x, by) === 1 % by)

const guardsOf = (r: Extract<Reduction, { kind: 'product' }>): readonly Guard[] => [...zeroOutside(r.a), ...zeroOutside(r.b)].filter(g => g.by > 1)

type Split = { readonly by: number; readonly row: Var; readonly step: Var; readonly fitting: { readonly offset: number; readonly slope: number } }

/** One row variable and one step variable, both with every residue equally often; all else in the position is divisible. */
const splitOf = (kernel: Kernel, steps: readonly Var[], { of, by }: Guard): Split | null => {
  const odd = of.terms.filter(t => t.coef % by !== 0)
  const find = (vars: readonly Var[]) => odd.flatMap(({ coef, atom }) => {
    const v = atom.kind === 'var' ? vars.find(x => x.id === atom.id) : undefined
    return v === undefined || v.size % by !== 0 ? [] : [{ v, coef }]
  })
  const [[row, ...rows], [step, ...others]] = [find(kernel.vars), find(steps)]
  if (row === undefined || step === undefined || rows.length + others.length > 0 || odd.length !== 2) return null
  const turned = inverse(-step.coef, by)
  if (turned === undefined || inverse(row.coef, by) === undefined) return null
  return { by, row: row.v, step: step.v, fitting: { offset: residue(turned * of.offset, by), slope: residue(turned * row.coef, by) } }
}

/** floor(index / by) of an index that is negative at times. */
const quotient = (algebra: Indexing, index: Index, by: number): Index => {
  const lift = Math.max(0, Math.ceil(-algebra.range(index).min / by))
  return shift(algebra.div(shift(index, lift * by), by), -lift)
}

/**
 * The kernel with residues as variables; null where a check of divisibility would be left. `counter` gives the size of an enclosing loop.
 */
export const residues = (given: Kernel, fresh: () => number, counter: (id: number) => number): Kernel | null => {
  let kernel = given
  for (;;) {
    const { reduction } = kernel
    if (reduction === null || reduction.kind !== 'product') return null
    const [guard] = guardsOf(reduction)
    if (guard === undefined) return kernel
    const split = splitOf(kernel, reduction.vars, guard)
    if (split === null) return null
    const { by, row, step, fitting } = split
    const rest: Var = { id: fresh(), size: by, name: `${row.name}r` }
    const [row0, step0]: readonly Var[] = [{ ...row, id: fresh(), size: row.size / by }, { ...step, id: fresh(), size: step.size / by }]
    if (row0 === undefined || step0 === undefined) return null
    const sizes = new Map([...kernel.vars, ...reduction.vars, rest, row0, step0].map(v => [v.id, v.size]))
    const algebra = indexing(id => sizes.get(id) ?? counter(id))
    const fits = algebra.mod(shift(scale(variable(rest), fitting.slope), fitting.offset), by)
    const instead = new Map([
      [row.id, add(scale(variable(row0), by), variable(rest))],
      [step.id, add(scale(variable(step0), by), fits)],
    ])
    const place = (index: Index): Index => substitute(algebra, index, id => instead.get(id))
    // the position that is divisible now
    const known = indexKey(place(guard.of))
    const simpler = (g: Guard): Guard =>
      g.by === by && indexKey(g.of) === known ? { of: quotient(algebra, g.of, by), below: Math.ceil(g.below / by), by: 1 } : g
    const next = mapKernel(kernel, place, simpler)
    const renamed = (v: Var): Var => (v.id === row.id ? row0 : v.id === step.id ? step0 : v)
    kernel = {
      ...next, vars: [...next.vars.map(renamed), rest],
      reduction: next.reduction === null ? null : { ...next.reduction, vars: next.reduction.vars.map(renamed) },
    }
  }
}
