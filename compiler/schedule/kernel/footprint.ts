/**
 * Which elements of a buffer a kernel really reads: the distinct values of its index expressions over all loop variables,
 * within their guards, as sorted runs of neighbouring elements. Variables that meet in no guard, quotient or remainder
 * contribute independently, so that a convolution's window is found from its few rows and columns, not from every term.
 */
import { constant, indexing, indexKey, substitute, zero } from './indexing.ts'
import type { Atom, Expr, Guard, Index, Kernel, Var } from './kernel.ts'
import { expressions } from './walk.ts'

/** Sorted, disjoint, not touching: from <= element < to. */
export type Runs = readonly (readonly [from: number, to: number])[]

const countOf = (runs: Runs): number => runs.reduce((n, [from, to]) => n + to - from, 0)

/** Guards of which all hold, or not all of them. */
type Condition = { readonly guards: readonly Guard[]; readonly hold: boolean }

/** The most assignments, or runs, that are written out; beyond it a set counts as one dense run of as many elements. */
const limit = 1 << 18

const merged = (runs: (readonly [number, number])[]): Runs => {
  runs.sort((a, b) => a[0] - b[0])
  const out: [number, number][] = []
  for (const [from, to] of runs) {
    const last = out[out.length - 1]
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to)
    else out.push([from, to])
  }
  return out
}

/** What a part of an index adds: any of some numbers (ascending), or of `count` numbers in equal steps. */
type Moves =
  | { readonly kind: 'list'; readonly values: readonly number[] }
  | { readonly kind: 'steps'; readonly least: number; readonly step: number; readonly count: number }

const steps = (coef: number, count: number): Moves => ({ kind: 'steps', least: Math.min(0, coef * (count - 1)), step: Math.abs(coef), count })
const countOfMoves = (m: Moves): number => (m.kind === 'list' ? m.values.length : m.count)
const least = (m: Moves): number => (m.kind === 'list' ? (m.values[0] ?? 0) : m.least)
const span = (m: Moves): number => (m.kind === 'list' ? (m.values[m.values.length - 1] ?? 0) - least(m) : m.step * (m.count - 1))
const valuesOf = (m: Moves): readonly number[] => (m.kind === 'list' ? m.values : Array.from({ length: m.count }, (_, i) => m.least + i * m.step))

/** Every element of `runs` moved by every one of `moves`. */
const sums = (runs: Runs, moves: Moves): Runs => {
  const [first, last] = [runs[0], runs[runs.length - 1]]
  const count = countOfMoves(moves)
  if (first === undefined || last === undefined || count === 0) return []
  const [from, to] = [first[0] + least(moves), last[1] + least(moves) + span(moves)]
  if (moves.kind === 'steps' && runs.length === 1 && moves.step <= first[1] - first[0]) return [[from, to]]
  if (runs.length * count > limit) return [[from, from + Math.min(countOf(runs) * count, to - from)]]
  return merged(valuesOf(moves).flatMap(move => runs.map(([start, end]) => [start + move, end + move] as const)))
}

const variablesIn = (atom: Atom): readonly number[] => (atom.kind === 'var' ? [atom.id] : atom.kind === 'value' ? [] : variables(atom.of))
const variables = (index: Index): readonly number[] => [...new Set(index.terms.flatMap(t => variablesIn(t.atom)))]

const numberOf = (index: Index, at: ReadonlyMap<number, number>): number =>
  index.terms.reduce((sum, { coef, atom }) => {
    switch (atom.kind) {
      case 'var':
        return sum + coef * (at.get(atom.id) ?? 0)
      case 'div':
        return sum + coef * Math.floor(numberOf(atom.of, at) / atom.by)
      case 'mod':
        return sum + coef * (numberOf(atom.of, at) % atom.by)
      case 'value':
        return sum
    }
  }, index.offset)

const holds = (g: Guard, at: ReadonlyMap<number, number>): boolean => {
  const n = numberOf(g.of, at)
  return n >= 0 && n < g.below && n % g.by === 0
}
const met = (c: Condition, at: ReadonlyMap<number, number>): boolean => c.guards.every(g => holds(g, at)) === c.hold

/** Variables that have to be looked at together, with the conditions among them. */
type Part = { readonly ids: readonly number[]; readonly conditions: readonly Condition[] }

const parts = (index: Index, conditions: readonly Condition[]): readonly Part[] => {
  const links = [
    ...index.terms.map((t): Part => ({ ids: variablesIn(t.atom), conditions: [] })),
    ...conditions.map((c): Part => ({ ids: [...new Set(c.guards.flatMap(g => variables(g.of)))], conditions: [c] })),
  ]
  return links.reduce<readonly Part[]>((all, link) => {
    const near = all.filter(p => p.ids.some(id => link.ids.includes(id)))
    const joined = { ids: [...new Set([...near, link].flatMap(p => p.ids))], conditions: [...near, link].flatMap(p => p.conditions) }
    return [...all.filter(p => !near.includes(p)), joined]
  }, [])
}

/** Sizes of the variables that move; the others stand still at 0. */
type Sizes = (id: number) => number | undefined

/** Calls `visit` with every assignment of some variables; the map is one and the same. */
const assigned = (ids: readonly number[], sizeOf: Sizes, visit: (at: ReadonlyMap<number, number>) => void): void => {
  const at = new Map<number, number>()
  const go = (i: number): void => {
    const id = ids[i]
    if (id === undefined) return visit(at)
    for (let n = 0; n < sizeOf(id)!; n += 1) {
      at.set(id, n)
      go(i + 1)
    }
  }
  go(0)
}

/** The share of all assignments of `vars` for which all guards hold. */
export const shareOf = (guards: readonly Guard[], vars: readonly Var[]): number => {
  const sizes = new Map(vars.map(v => [v.id, v.size]))
  return parts(zero, guards.map(g => ({ guards: [g], hold: true }))).reduce((share, { ids, conditions }) => {
    const own = ids.filter(id => sizes.has(id))
    const all = own.reduce((n, id) => n * sizes.get(id)!, 1)
    if (all > limit) return share
    let some = 0
    assigned(own, id => sizes.get(id), at => {
      if (conditions.every(c => met(c, at))) some += 1
    })
    return (share * some) / all
  }, 1)
}

/** The elements of a buffer of `size` elements that one load reads. */
const readBy = (index: Index, conditions: readonly Condition[], size: number, sizeOf: Sizes): Runs => {
  const { range } = indexing(id => sizeOf(id) ?? 1)
  const movesOf = ({ ids, conditions: among }: Part): Moves => {
    const own = ids.filter(id => (sizeOf(id) ?? 1) > 1)
    const terms = index.terms.filter(t => variablesIn(t.atom).some(id => own.includes(id)))
    const only = terms[0]
    if (terms.length === 1 && only?.atom.kind === 'var' && among.length === 0) return steps(only.coef, sizeOf(only.atom.id)!)
    const sum: Index = { offset: 0, terms }
    const assignments = own.reduce((n, id) => n * sizeOf(id)!, 1)
    if (assignments > limit) {
      const { min, max } = range(sum)
      return { kind: 'steps', least: min, step: 1, count: Math.min(assignments, max - min + 1, size) }
    }
    const found = new Set<number>()
    assigned(own, sizeOf, at => {
      if (among.every(c => met(c, at))) found.add(numberOf(sum, at))
    })
    return { kind: 'list', values: [...found].sort((a, b) => a - b) }
  }
  const still = index.terms.filter(t => t.atom.kind !== 'value' && variablesIn(t.atom).every(id => (sizeOf(id) ?? 1) === 1))
  const start = numberOf({ offset: index.offset, terms: still }, new Map())
  // What is picked by computed numbers may be anywhere: it counts as all that there is to pick from.
  const choices = (atom: Atom): number => Math.min(range({ offset: 0, terms: [{ coef: 1, atom }] }).max + 1, size)
  const picked = index.terms.flatMap(t => (t.atom.kind === 'value' ? [steps(t.coef, choices(t.atom))] : []))
  const moves = [...parts(index, conditions).map(movesOf), ...picked].sort((a, b) => span(a) - span(b))
  const all = moves.reduce<Runs>(sums, [[start, start + 1]])
  return all.flatMap(([from, to]) => (to <= 0 || from >= size ? [] : [[Math.max(0, from), Math.min(size, to)] as const]))
}

type Load = { readonly buffer: number; readonly at: Index; readonly conditions: readonly Condition[] }

/** Every load of an expression, with what must hold for it to happen; those inside indices and keys as well. */
const loadsOf = (root: Expr): readonly Load[] => {
  const seen = new Map<Expr, string[]>()
  const found: Load[] = []
  const inIndex = (index: Index, conditions: readonly Condition[], path: string): void =>
    index.terms.forEach(({ atom }) => {
      if (atom.kind === 'value') visit(atom.expr, conditions, path)
      else if (atom.kind !== 'var') inIndex(atom.of, conditions, path)
    })
  const visit = (e: Expr, conditions: readonly Condition[], path: string): void => {
    const paths = seen.get(e) ?? []
    if (paths.includes(path)) return
    seen.set(e, [...paths, path])
    switch (e.kind) {
      case 'const':
      case 'acc':
        return
      case 'load':
        found.push({ buffer: e.buffer, at: e.at, conditions })
        return inIndex(e.at, conditions, path)
      case 'index':
        return inIndex(e.of, conditions, path)
      case 'op':
        return e.args.forEach(arg => visit(arg, conditions, path))
      case 'when': {
        const key = e.guards.map(g => `${indexKey(g.of)}<${g.below}/${g.by}`).join()
        e.guards.forEach(g => inIndex(g.of, conditions, path))
        visit(e.then, [...conditions, ...e.guards.map(g => ({ guards: [g], hold: true }))], `${path}&${key}`)
        return visit(e.otherwise, [...conditions, { guards: e.guards, hold: false }], `${path}!${key}`)
      }
      case 'random':
        visit(e.key0, conditions, path)
        visit(e.key1, conditions, path)
        return inIndex(e.of, conditions, path)
    }
  }
  visit(root, [], '')
  return found
}

/**
 * What one run of a kernel reads of each buffer, on average over the runs of the loops around it where its guards name
 * their counters. `elements` gives the size of a buffer.
 */
export const elementsRead = (kernel: Kernel, elements: (buffer: number) => number, counters: readonly Var[]): ReadonlyMap<number, number> => {
  const sizes = new Map([...kernel.vars, ...(kernel.reduction?.vars ?? [])].map(v => [v.id, v.size]))
  const loads = expressions(kernel).flatMap(loadsOf)
  const named = counters.filter(c => loads.some(l => l.conditions.some(x => x.guards.some(g => variables(g.of).includes(c.id)))))
  const counts = (at: ReadonlyMap<number, number>): ReadonlyMap<number, number> => {
    const read = new Map<number, (readonly [number, number])[]>()
    const fixed = (index: Index): Index => substitute(indexing(id => sizes.get(id) ?? 1), index, id => (at.has(id) ? constant(at.get(id)!) : undefined))
    for (const load of loads) {
      const conditions = at.size === 0 ? load.conditions : load.conditions.map(c => ({ ...c, guards: c.guards.map(g => ({ ...g, of: fixed(g.of) })) }))
      const runs = readBy(at.size === 0 ? load.at : fixed(load.at), conditions, elements(load.buffer), id => sizes.get(id))
      read.set(load.buffer, [...(read.get(load.buffer) ?? []), ...runs])
    }
    return new Map([...read].map(([buffer, runs]) => [buffer, countOf(merged(runs))]))
  }
  if (named.length === 0) return counts(new Map())
  const most = Math.max(2, Math.floor(64 ** (1 / named.length)))
  const turns = named.reduce<readonly ReadonlyMap<number, number>[]>(
    (all, c) => all.flatMap(at => samples(c.size, most).map(n => new Map([...at, [c.id, n]]))), [new Map()])
  const each = turns.map(counts)
  const buffers = [...new Set(each.flatMap(m => [...m.keys()]))]
  return new Map(buffers.map(id => [id, each.reduce((n, m) => n + (m.get(id) ?? 0), 0) / each.length]))
}

/** Turns of a loop to look at: all of a short one, `most` of a long one, first and last among them. */
const samples = (size: number, most: number): readonly number[] => {
  const n = Math.min(size, most)
  return Array.from({ length: n }, (_, i) => (n === size ? i : Math.floor((i * (size - 1)) / (n - 1))))
}
