/** Which elements a kernel reads: against a plain count over all assignments, for random indices and guards. */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { elementsRead, shareOf } from '../../../../compiler/schedule/kernel/footprint.ts'
import { indexing } from '../../../../compiler/schedule/kernel/indexing.ts'
import type { Expr, Guard, Index, Kernel, Var } from '../../../../compiler/schedule/kernel/kernel.ts'

const vars: readonly Var[] = [3, 4, 5, 6].map((size, i) => ({ id: i, size, name: `v${i}` }))
const counter: Var = { id: 9, size: 4, name: 't' }
const { range } = indexing(id => vars[id]?.size ?? counter.size)

type Point = ReadonlyMap<number, number>
const points: readonly Point[] = vars.reduce<readonly Point[]>((all, v) => all.flatMap(p => Array.from({ length: v.size }, (_, n) => new Map([...p, [v.id, n]]))), [new Map()])
const at = (i: Index, p: Point): number =>
  i.terms.reduce((n, { coef, atom }) => {
    if (atom.kind === 'var') return n + coef * p.get(atom.id)!
    if (atom.kind === 'value') return n
    const inner = at(atom.of, p)
    return n + coef * (atom.kind === 'div' ? Math.floor(inner / atom.by) : inner % atom.by)
  }, i.offset)
const holds = (g: Guard, p: Point): boolean => at(g.of, p) >= 0 && at(g.of, p) < g.below && at(g.of, p) % g.by === 0

/** The mean over the counter of how many different elements are read. */
const counted = (root: Expr, size: number, named: boolean): number => {
  const turns = named ? Array.from({ length: counter.size }, (_, n) => n) : [0]
  return turns.reduce((sum, t) => {
    const seen = new Set<number>()
    const visit = (e: Expr, p: Point): void => {
      if (e.kind === 'op') e.args.forEach(a => visit(a, p))
      if (e.kind === 'when') visit(e.guards.every(g => holds(g, p)) ? e.then : e.otherwise, p)
      if (e.kind === 'load' && at(e.at, p) >= 0 && at(e.at, p) < size) seen.add(at(e.at, p))
    }
    points.forEach(p => visit(root, new Map([...p, [counter.id, t]])))
    return sum + seen.size
  }, 0) / turns.length
}

const term = (ids: readonly number[]) => fc.record({ coef: fc.integer({ min: -3, max: 30 }).filter(c => c !== 0), id: fc.constantFrom(...ids) })
  .map(({ coef, id }) => ({ coef, atom: { kind: 'var', id } as const }))
const sum = (ids: readonly number[], most: number) => fc.record({ offset: fc.integer({ min: -5, max: 9 }), terms: fc.uniqueArray(term(ids), { minLength: 0, maxLength: most, selector: t => t.atom.id }) })
const positive = (i: Index): Index => ({ offset: i.offset + Math.max(0, -range(i).min), terms: i.terms })
const quotient = fc.tuple(sum([0, 1, 2, 3], 2), fc.constantFrom('div', 'mod'), fc.integer({ min: 2, max: 4 }), fc.integer({ min: 1, max: 9 }))
  .map(([of, kind, by, coef]) => ({ coef, atom: { kind, of: positive(of), by } as const }))
const position = fc.tuple(sum([0, 1, 2, 3, 9], 4), fc.array(quotient, { maxLength: 1 })).map(([s, q]): Index => ({ offset: s.offset, terms: [...s.terms, ...q] }))
const load = position.map((i): Expr => ({ kind: 'load', buffer: 0, at: i, dtype: 'f32' }))
const guard = (ids: readonly number[]) => fc.record({ of: sum(ids, 2), below: fc.integer({ min: 1, max: 12 }), by: fc.constantFrom(1, 1, 2) })
const guarded = fc.tuple(fc.array(guard([0, 1, 2, 3, 9]), { minLength: 1, maxLength: 2 }), load, load).map(([guards, then, otherwise]): Expr => ({ kind: 'when', guards, then, otherwise, dtype: 'f32' }))
const value = fc.array(fc.oneof(load, guarded), { minLength: 1, maxLength: 3 }).map((args): Expr => ({ kind: 'op', prim: 'add', args, dtype: 'f32' }))

const kernelOf = (root: Expr): Kernel => ({ kind: 'kernel', name: 'k', vars, reduction: null, stores: [{ buffer: 1, at: { offset: 0, terms: [] }, value: root }], origins: [] })
const namesCounter = (e: Expr): boolean =>
  e.kind === 'op' ? e.args.some(namesCounter) : e.kind === 'when' && e.guards.some(g => g.of.terms.some(t => t.atom.kind === 'var' && t.atom.id === counter.id))

test('as many as a count over all assignments finds', () => {
  fc.assert(fc.property(value, fc.integer({ min: 20, max: 300 }), (root, size) => {
    const found = elementsRead(kernelOf(root), () => size, [counter]).get(0)
    assert.ok(Math.abs((found ?? 0) - counted(root, size, namesCounter(root))) < 1e-9)
  }), { numRuns: 300, seed: 7 })
})

test('the share of assignments that guards leave', () => {
  fc.assert(fc.property(fc.array(guard([0, 1, 2, 3]), { maxLength: 3 }), guards => {
    const some = points.filter(p => guards.every(g => holds(g, p))).length
    assert.ok(Math.abs(shareOf(guards, vars) - some / points.length) < 1e-9)
  }), { numRuns: 200, seed: 7 })
})

test('sets too large to be written out: dense ones are exact, sparse ones count their elements', () => {
  const million: Var = { id: 20, size: 1 << 20, name: 'i' }
  const over = (...terms: Index['terms']): number =>
    elementsRead({ ...kernelOf({ kind: 'load', buffer: 0, at: { offset: 0, terms }, dtype: 'f32' }), vars: [million] }, () => 1 << 22, []).get(0) ?? 0
  const i: Index = { offset: 0, terms: [{ coef: 1, atom: { kind: 'var', id: 20 } }] }
  assert.is(over(...i.terms), 1 << 20)
  assert.is(over({ coef: 3, atom: { kind: 'var', id: 20 } }), 1 << 20)
  // a transposition of 1024 by 1024, flattened
  assert.is(over({ coef: 1024, atom: { kind: 'mod', of: i, by: 1024 } }, { coef: 1, atom: { kind: 'div', of: i, by: 1024 } }), 1 << 20)
})

test('rows that are picked by numbers may be any of those that there are', () => {
  const picked: Expr = { kind: 'op', prim: 'minimum', args: [{ kind: 'load', buffer: 1, at: { offset: 0, terms: [{ coef: 1, atom: { kind: 'var', id: 0 } }] }, dtype: 'i32' }, { kind: 'const', value: 9, dtype: 'i32' }], dtype: 'i32' }
  const root: Expr = { kind: 'load', buffer: 0, at: { offset: 0, terms: [{ coef: 4, atom: { kind: 'value', expr: picked } }, { coef: 1, atom: { kind: 'var', id: 1 } }] }, dtype: 'f32' }
  assert.equal([...elementsRead(kernelOf(root), () => 40, [])], [[1, 3], [0, 40]].sort((a, b) => a[0]! - b[0]!))
})

test.run()
