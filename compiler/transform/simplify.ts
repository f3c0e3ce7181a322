/**
 * Local algebra that is exact in floating point (up to the sign of a zero): identities, composition of shape operations,
 * and work moved to where a tensor is smaller. One rule per primitive; null keeps the op. `stopGradient` goes too: the
 * passes run after differentiation.
 */
import { elementwise, type Elementwise, type Prim } from '../../dsl/core/prim.ts'
import type { Func, Id, Op } from '../ir/ir.ts'
import { at, count, sameList } from '../ir/view.ts'
import { joinedSum } from './pieces.ts'
import { defines, filled, rewrite, type Rule, type Site } from './rewrite.ts'
import { simplifyContract } from './simplifyContract.ts'
import { shapeRules } from './simplifyShape.ts'

export const simplify = (func: Func): Func =>
  rewrite(func, (site, op) => {
    const rule = rules[op.prim] as Rule<Prim> | undefined // the table pairs a primitive with its attributes; the union cannot see it
    return rule?.(site, op.attrs) ?? (isElementwise(op.prim) ? lift(site, op) : null)
  })

const isElementwise = (prim: Prim): prim is Elementwise => (elementwise as readonly Prim[]).includes(prim)

const operand = (site: Site, i: number): Id => at(site.inputs, i)

/** An element-wise op on equal broadcasts (and fills) is the broadcast of the op on what they repeat. */
const lift = ({ b, inputs }: Site, op: Op): Id | null => {
  const first = inputs.map(id => defines(b, id, 'broadcast')).find(x => x !== null)
  if (first === undefined || first === null) return null
  const { shape, axes } = first.attrs
  const source = b.aval(at(first.inputs, 0)).shape
  if (count(source) >= count(shape)) return null
  const sources = inputs.map(id => {
    const repeated = defines(b, id, 'broadcast')
    if (repeated !== null) {
      return sameList(repeated.attrs.axes, axes) && sameList(b.aval(at(repeated.inputs, 0)).shape, source) ? at(repeated.inputs, 0) : null
    }
    const value = filled(b, id)
    return value === null ? null : b.op('fill', [], { shape: source, dtype: b.aval(id).dtype, value })
  })
  if (sources.some(id => id === null)) return null
  return b.op('broadcast', [b.copy(op, sources as readonly Id[])], { shape, axes }) // all non-null by the test above
}

/** f(f(x)) = x */
const involution =
  <P extends 'neg' | 'not'>(prim: P): Rule<P> =>
  site =>
    defines(site.b, operand(site, 0), prim)?.inputs[0] ?? null

const isFill = (site: Site, i: number, value: number): boolean => filled(site.b, operand(site, i)) === value
const negated = (site: Site, i: number): Id | undefined => defines(site.b, operand(site, i), 'neg')?.inputs[0]

/** The operand where both are one value. */
const idempotent = (site: Site): Id | null => (operand(site, 0) === operand(site, 1) ? operand(site, 0) : null)

/** What and/or give where one operand is a bool constant. */
const logic =
  (neutral: number) =>
  (site: Site): Id | null => {
    const same = idempotent(site)
    if (same !== null || site.b.aval(operand(site, 0)).dtype !== 'bool') return same
    for (const i of [0, 1]) {
      const value = filled(site.b, operand(site, i))
      if (value !== null) return value === neutral ? operand(site, 1 - i) : operand(site, i)
    }
    return null
  }

/** select(c, a, 0) + select(c, 0, b) = select(c, a, b), as the gradients of both branches meet. */
const complementary = (site: Site): Id | null => {
  const [x, y] = [0, 1].map(i => defines(site.b, operand(site, i), 'select'))
  if (!x || !y || x.inputs[0] !== y.inputs[0]) return null
  const isZero = (id: Id | undefined): boolean => id !== undefined && filled(site.b, id) === 0
  const [cond, a, b] = x.inputs
  const [, c, d] = y.inputs
  const made = isZero(b) && isZero(c) ? [cond, a, d] : isZero(a) && isZero(d) ? [cond, c, b] : null
  return made === null ? null : site.b.op('select', made.map(id => id ?? -1), {})
}

/** select(c, a, 0) * k = select(c, a * k, 0) for a finite constant k. */
const masked = (site: Site): Id | null => {
  for (const i of [0, 1]) {
    const mask = defines(site.b, operand(site, i), 'select')
    const by = filled(site.b, operand(site, 1 - i))
    if (mask === null || by === null || !Number.isFinite(by) || site.uses(i) !== 1) continue
    const [cond, a, b] = [at(mask.inputs, 0), at(mask.inputs, 1), at(mask.inputs, 2)]
    const zeros = [a, b].map(id => filled(site.b, id) === 0)
    const times = (id: Id, isZero: boolean | undefined): Id => (isZero === true ? id : site.b.op('mul', [id, operand(site, 1 - i)], {}))
    if (zeros.includes(true)) return site.b.op('select', [cond, times(a, zeros[0]), times(b, zeros[1])], {})
  }
  return null
}

const powerOfTwo = (x: number): boolean => Number.isInteger(Math.log2(Math.abs(x))) && Math.abs(Math.log2(Math.abs(x))) < 100

const fillLike = (site: Site, id: Id, value: number): Id => site.b.op('fill', [], { ...site.b.aval(id), value })

const rules: { readonly [P in Prim]?: Rule<P> } = {
  ...shapeRules,
  stopGradient: site => operand(site, 0),
  neg: site => {
    const difference = defines(site.b, operand(site, 0), 'sub')
    if (difference !== null && site.uses(0) === 1) return site.b.op('sub', difference.inputs.toReversed(), {})
    return involution('neg')(site, {})
  },
  not: involution('not'),
  add: site => {
    if (isFill(site, 0, 0)) return operand(site, 1)
    if (isFill(site, 1, 0)) return operand(site, 0)
    const right = negated(site, 1)
    if (right !== undefined) return site.b.op('sub', [operand(site, 0), right], {})
    const left = negated(site, 0)
    return left === undefined ? (complementary(site) ?? joinedSum(site.b, operand(site, 0), operand(site, 1))) : site.b.op('sub', [operand(site, 1), left], {})
  },
  sub: site => {
    if (isFill(site, 1, 0)) return operand(site, 0)
    const right = negated(site, 1)
    if (right !== undefined) return site.b.op('add', [operand(site, 0), right], {})
    return isFill(site, 0, 0) && site.b.aval(operand(site, 0)).dtype !== 'u32' ? site.b.op('neg', [operand(site, 1)], {}) : null
  },
  mul: site => {
    for (const i of [0, 1]) {
      if (isFill(site, i, 1)) return operand(site, 1 - i)
      if (isFill(site, i, -1)) return site.b.op('neg', [operand(site, 1 - i)], {})
    }
    const [left, right] = [negated(site, 0), negated(site, 1)]
    return left !== undefined && right !== undefined ? site.b.op('mul', [left, right], {}) : masked(site)
  },
  div: site => {
    const by = filled(site.b, operand(site, 1))
    if (by === 1) return operand(site, 0)
    return by !== null && powerOfTwo(by) ? site.b.op('mul', [operand(site, 0), fillLike(site, operand(site, 1), 1 / by)], {}) : null
  },
  pow: (site, { exponent }) => {
    const x = operand(site, 0)
    if (exponent === 0) return fillLike(site, x, 1)
    if (exponent === 1) return x
    if (exponent === 2) return site.b.op('mul', [x, x], {})
    return exponent === -1 ? site.b.op('div', [fillLike(site, x, 1), x], {}) : null
  },
  maximum: idempotent,
  minimum: idempotent,
  and: logic(1),
  or: logic(0),
  select: site => {
    const [cond, a, b] = [operand(site, 0), operand(site, 1), operand(site, 2)]
    const known = filled(site.b, cond)
    if (known !== null) return known === 1 ? a : b
    if (a === b) return a
    const inverse = defines(site.b, cond, 'not')
    return inverse === null ? null : site.b.op('select', [at(inverse.inputs, 0), b, a], {})
  },
  cast: (site, { dtype }) => {
    // bool to any type and on: the first step loses nothing
    const inner = defines(site.b, operand(site, 0), 'cast')
    if (inner === null || site.b.aval(at(inner.inputs, 0)).dtype !== 'bool' || dtype === 'bool') return null
    return site.b.op('cast', [at(inner.inputs, 0)], { dtype })
  },
  contract: simplifyContract,
}
