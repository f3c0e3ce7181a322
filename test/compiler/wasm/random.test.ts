/**
 * Random kernels against the interpreter: random extents, orders, strides (negative too), windows with guards, quotients
 * and remainders, reductions and products. Deterministic; a failure names its seed.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Expr, Guard, Index, Plan, Reduction, Var } from '../../../compiler/schedule/kernel/kernel.ts'
import { add, constant, indexing, scale, shift, variable } from '../../../compiler/schedule/kernel/indexing.ts'
import { acc, buffers, disagreement, kernel, load, num, op, planOf, v, when } from './plans.ts'

const source = (seed: number) => {
  let state = (seed * 2654435761) >>> 0
  const next = (): number => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 0x9e3779b9) >>> 0
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32
  }
  const below = (n: number): number => Math.floor(next() * n)
  const pick = <T>(xs: readonly T[]): T => xs[below(xs.length)]!
  return { below, pick, chance: (p: number): boolean => next() < p }
}
type Source = ReturnType<typeof source>

const shuffled = <T>(s: Source, xs: readonly T[]): readonly T[] => xs.map(x => [s.below(1 << 20), x] as const).sort(([a], [b]) => a - b).map(([, x]) => x)
const rowMajor = (vars: readonly Var[]): Index => vars.reduce((at, x) => add(scale(at, x.size), variable(x)), constant(0))

/** A random operand over some of `vars`: its buffer is sized to fit, its index in bounds wherever its guards hold. */
const operand = (s: Source, vars: readonly Var[], buffer: number): { readonly expr: Expr; readonly size: number } => {
  const algebra = indexing(id => vars.find(x => x.id === id)!.size)
  const used = shuffled(s, vars.filter(() => s.chance(0.7)))
  const [kind, by] = [s.below(5), s.pick([2, 3, 4, 8])]
  if (kind === 0 && used.length >= 2) {
    // a window of two variables, padded, beside the rest
    const [p, k, ...rest] = used as [Var, Var, ...Var[]]
    const [stride, pad] = [s.pick([1, 1, 2]), s.below(3)]
    const at = shift(add(scale(variable(p), stride), scale(variable(k), s.pick([1, 1, -1]))), -pad)
    const width = Math.max(1, algebra.range(at).max - s.below(3))
    const base = s.pick([1, 1, 2])
    const guard: Guard = { of: at, below: width, by: base }
    const inner = base === 1 ? at : ({ offset: 0, terms: [{ coef: 1, atom: { kind: 'div' as const, of: at, by: base } }] })
    return { expr: when([guard], load(buffer, add(scale(rowMajor(rest), width), inner)), num(s.pick([0, 0, 0.5]))), size: width * rest.reduce((n, x) => n * x.size, 1) }
  }
  const flat = rowMajor(used)
  const total = used.reduce((n, x) => n * x.size, 1)
  const at = kind === 1 ? shift(scale(flat, -1), total - 1) : kind === 2 ? algebra.div(flat, by) : kind === 3 ? algebra.mod(flat, by) : kind === 4 ? scale(flat, s.pick([1, 2, 3])) : flat
  return { expr: load(buffer, at), size: algebra.range(at).max + 1 }
}

const wrapped = (s: Source, e: Expr): Expr => s.pick([e, e, op('maximum', [e, num(0)]), op('mul', [e, num(0.5)]), op('tanh', [e])])

const plan = (seed: number): Plan => {
  const s = source(seed)
  const some = (n: number): readonly Var[] => Array.from({ length: n }, () => v(s.pick([1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17])))
  const kind = s.pick(['none', 'sum', 'max', 'min', 'product', 'product', 'product'] as const)
  const vars = some(1 + s.below(3))
  const inner = kind === 'none' ? [] : some(1 + s.below(2))
  const all = [...vars, ...inner]
  const [a, b, c] = [operand(s, all, 0), operand(s, all, 1), operand(s, vars, 2)]
  const value = op('add', [wrapped(s, a.expr), b.expr])
  const reduction: Reduction | null =
    kind === 'none' ? null
    : kind === 'product' ? { kind, vars: inner, a: wrapped(s, a.expr), b: b.expr, dtype: 'f32' }
    : { kind: 'reduce', op: kind, vars: inner, value, dtype: 'f32' }
  // without a reduction, the operands may name the result's variables only: inner is empty then
  const result = op('add', [kind === 'none' ? value : acc, c.expr])
  const size = vars.reduce((n, x) => n * x.size, 1)
  const stores = [{ buffer: 3, at: rowMajor(shuffled(s, vars)), value: result }, ...(s.chance(0.3) ? [{ buffer: 4, at: rowMajor(vars), value: wrapped(s, result) }] : [])]
  return planOf(buffers(a.size, b.size, c.size, size, size), kernel(vars, reduction, ...stores))
}

test('random kernels agree with the interpreter', () => {
  for (let seed = Number(process.env['SEED'] ?? 1), end = seed + Number(process.env['SEEDS'] ?? 250); seed < end; seed += 1) {
    let message = ''
    try {
      // sums of a few hundred products of values up to 2
      message = disagreement(plan(seed), 1e-4)
    } catch (error) {
      message = String(error)
    }
    assert.is(message, '', `seed ${seed}: ${message}`)
  }
})

test.run()
