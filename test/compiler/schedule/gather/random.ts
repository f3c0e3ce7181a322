/**
 * Plans made at random, within what kernels promise: stores of a buffer are whole or have parts of their own, and a kernel reads of what it
 * writes at most the element that it replaces. Places are permuted, reversed, spaced and sliced by the counters of loops.
 */
import type { Buffer, Expr, Index, Kernel, Plan, Reduction, Step, Store, Var } from '../../../../compiler/schedule/kernel/kernel.ts'
import { stream } from '../../arbitrary.ts'
import { acc, guard, ix, kernel, load, num, op, product, v, when } from '../../wasm/plans.ts'

const coefOf = (at: Index, v: Var): number => at.terms.find(t => t.atom.kind === 'var' && t.atom.id === v.id)?.coef ?? 0
/** The elements that an index counts through. */
const elementsOf = (at: Index, vars: readonly Var[]): ReadonlySet<number> =>
  new Set(vars.reduce<readonly number[]>((all, x) => all.flatMap(n => Array.from({ length: x.size }, (_, i) => n + i * coefOf(at, x))), [at.offset]))

/** The plan of a seed; its first two buffers are inputs, others scratch or inputs. All are of f32. */
export const randomPlan = (seed: number): Plan => {
  const next = stream(seed)
  for (let i = 0; i < 5; i += 1) next()
  const below = (n: number): number => Math.floor(next() * n)
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!
  const sizes = Array.from({ length: 3 + below(4) }, () => pick([1, 6, 7, 12, 24, 24, 48, 60]))
  const buffers = sizes.map((n, id): Buffer => ({
    id, aval: { shape: n % 6 === 0 && below(2) === 0 ? [n / 6, 6] : n % 4 === 0 && below(2) === 0 ? [2, n / 4, 2] : [n], dtype: 'f32' }, name: `b${id}`,
    role: id < 2 || below(3) === 0 ? { kind: 'input', index: id } : { kind: 'scratch' },
  }))
  const taken = new Map<number, Set<number>>()
  /** The sum of some terms, some of them counted backwards, within a buffer; null where they do not fit. */
  const within = (terms: readonly (readonly [number, Var])[], size: number, most = Infinity): Index | null => {
    const span = terms.reduce((n, [coef, x]) => n + coef * (x.size - 1), 0)
    if (span >= size) return null
    const back = new Set(terms.filter(() => below(3) === 0))
    const start = below(Math.min(most, size - span)) + [...back].reduce((n, [coef, x]) => n + coef * (x.size - 1), 0)
    return ix(start, ...terms.map(t => [back.has(t) ? -t[0] : t[0], t[1]] as const))
  }
  /** A place for each assignment of variables, and a slice for each turn where a counter is in it. */
  const placed = (vars: readonly Var[], counters: readonly Var[], size: number): Index | null => {
    let reach = 1
    const terms = [...vars].sort(() => next() - 0.5).map(x => {
      const coef = reach * (below(4) === 0 ? 1 + below(3) : 1)
      reach = coef * (x.size - 1) + reach
      return [coef, x] as const
    })
    return within([...terms, ...counters.filter(() => below(2) === 0).map(c => [pick([1, reach, 2]), c] as const)], size, below(2) === 0 ? 1 : Infinity)
  }
  const read = (vars: readonly Var[], size: number): Index => {
    const terms = vars.map(x => [below(4), x] as const).filter(([coef]) => coef > 0)
    return within(terms, size) ?? ix(below(size))
  }
  const kernelOf = (counters: readonly Var[], name: string): readonly Kernel[] => {
    const vars = Array.from({ length: below(4) }, () => v(1 + below(5)))
    const inner = below(3) === 0 ? [v(pick([1, 2, 3, 5, 9]), 'r'), ...(below(2) === 0 ? [v(3, 's')] : [])] : []
    const places: { readonly buffer: number; readonly at: Index; readonly whole: boolean }[] = []
    for (let tries = 4 + below(10); tries > 0 && places.length < 3; tries -= 1) {
      const buffer = below(sizes.length)
      const at = placed(vars, counters, sizes[buffer]!)
      if (at === null || places.some(p => p.buffer === buffer && p.whole)) continue
      const all = elementsOf(at, [...vars, ...counters])
      const whole = counters.every(c => coefOf(at, c) === 0) && all.size === sizes[buffer]
      const others = taken.get(buffer) ?? new Set()
      if (whole ? places.some(p => p.buffer === buffer) : [...all].some(n => others.has(n))) continue
      if (!whole) taken.set(buffer, new Set([...others, ...all]))
      places.push({ buffer, at, whole })
    }
    const readable = sizes.map((_, id) => id).filter(id => places.every(p => p.buffer !== id))
    const known: Expr[] = []
    const value = (of: readonly Var[], depth = 0): Expr => {
      if (of === vars && known.length > 0 && below(4) === 0) return pick(known)
      const some = (): Expr => value(of, depth + 1)
      const make = (): Expr => {
        switch (below(depth > 2 ? 2 : 6)) {
          case 0: return { kind: 'index', of: read([...of, ...counters], 50), dtype: 'f32' }
          case 1: {
            const from = readable.length === 0 ? null : pick(readable)
            return from === null ? num(3) : load(from, read([...of, ...counters], sizes[from]!))
          }
          case 2: return op(pick(['add', 'sub'] as const), [some(), some()])
          case 3: return op('mul', [some(), num(pick([0.5, -0.25, 1]))])
          case 4: {
            const all = [...of, ...counters]
            if (all.length === 0) return num(2)
            return when([guard(ix(below(3) - 1, [pick([1, -1, 2]), pick(all)]), 1 + below(6), pick([1, 1, 2]))], some(), num(pick([0, 0, 0.5])))
          }
          default: return op(pick(['maximum', 'minimum'] as const), [some(), some()])
        }
      }
      const made = make()
      if (of === vars) known.push(made)
      return made
    }
    const both = [...vars, ...inner]
    const reduction: Reduction | null = inner.length === 0 ? null : below(3) === 0 ? product(inner, value(both, 1), value(both, 1))
      : { kind: 'reduce', op: pick(['sum', 'sum', 'max', 'min'] as const), vars: inner, value: value(both), dtype: 'f32' }
    // the last one first: what a store replaces it may read itself, as may those before it
    const stores = places.reduceRight<readonly Store[]>((after, { buffer, at }) => {
      const [later] = after
      const own = reduction === null || below(3) === 0 ? value(vars) : op('add', [acc, value(vars)])
      const old = below(2) === 0 ? own : op('add', [own, load(buffer, at)])
      const more = later === undefined ? old : pick([old, later.value, op('sub', [old, load(later.buffer, later.at)]), op('add', [later.value, old])])
      return [{ buffer, at, value: more }, ...after]
    }, [])
    return stores.length === 0 ? [] : [{ ...kernel(vars, reduction, ...stores), name }]
  }
  let count = 0
  const steps = (n: number, counters: readonly Var[]): readonly Step[] =>
    Array.from({ length: n }, (): readonly Step[] => {
      if (counters.length < 2 && below(5) === 0) {
        const counter = v(1 + below(4), 't')
        return [{ kind: 'loop', counter, steps: steps(1 + below(3), [...counters, counter]) }]
      }
      const [from, to] = [below(sizes.length), below(sizes.length)]
      if (below(8) === 0) return from !== to && sizes[from] === sizes[to] ? [{ kind: 'copy', from, to }] : []
      return kernelOf(counters, `k${(count += 1)}`)
    }).flat()
  return { buffers, steps: steps(2 + below(5), []) }
}
