/**
 * Branches that do nothing but choose between two numbers, as choices: of those a language computes the one side alone, too, so that
 * what is out of an array's bounds is not read.
 */
import { type Stmt, type Value, apply } from '../../schedule/nest/nest.ts'
import { localsIn } from '../text/dead.ts'
import type { Block } from '../text/scope.ts'

/** The most parts that a side of a choice has. */
const most = 12

const replaced = (v: Value, values: ReadonlyMap<number, Value>): Value => {
  switch (v.kind) {
    case 'const':
      return v
    case 'local':
      return values.get(v.id) ?? v
    case 'load':
      return { ...v, at: replaced(v.at, values) }
    case 'apply':
    case 'named':
      return { ...v, args: v.args.map(arg => replaced(arg, values)) }
    case 'lane':
      return { ...v, of: replaced(v.of, values) }
    case 'shuffle':
      return { ...v, a: replaced(v.a, values), b: replaced(v.b, values) }
  }
}
/** Parts of a value; more than `most` are not counted. */
const sizeOf = (v: Value): number => {
  switch (v.kind) {
    case 'const':
    case 'local':
      return 1
    case 'load':
      return 1 + sizeOf(v.at)
    case 'apply':
    case 'named':
      return v.args.reduce((n, arg) => (n > most ? n : n + sizeOf(arg)), 1)
    case 'lane':
    case 'shuffle':
      return most + 1
  }
}

/** The value that a block gives a local, if that is all it does; locals that it sets on the way are read nowhere else. */
const givenIn = (block: Block, wanted: number | null): { readonly id: number; readonly value: Value } | undefined => {
  const values = new Map<number, Value>()
  for (const [i, s] of block.entries()) {
    if (s.kind !== 'set') return undefined
    const value = replaced(s.value, values)
    if (sizeOf(value) > most) return undefined
    if (i === block.length - 1) return (wanted === null || s.local.id === wanted) && s.local.type === 'f32' ? { id: s.local.id, value } : undefined
    values.set(s.local.id, value)
  }
  return undefined
}

/** Locals that are read in some other block than the one that sets them. */
type Uses = { readonly sets: Map<number, number>; readonly away: Set<number> }
const usesOf = (body: Block): Uses => {
  const [sets, home, away] = [new Map<number, number>(), new Map<number, Block>(), new Set<number>()]
  const read = (v: Value, block: Block): void =>
    localsIn(v, id => {
      if (home.get(id) !== block) away.add(id)
    })
  const go = (block: Block): void => {
    for (const s of block) {
      switch (s.kind) {
        case 'set':
        case 'join':
          read(s.value, block)
          sets.set(s.local.id, (sets.get(s.local.id) ?? 0) + 1)
          home.set(s.local.id, block)
          break
        case 'store':
          read(s.at, block)
          read(s.value, block)
          break
        case 'if':
          read(s.condition, block)
          go(s.then)
          go(s.otherwise)
          break
        case 'for':
          read(s.from, block)
          read(s.to, block)
          go(s.body)
          break
        case 'barrier':
        case 'matrix':
          break
      }
    }
  }
  go(body)
  return { sets, away }
}

/** The same with choices instead of branches, the innermost first. */
export const withChoices = (body: Block): Block => {
  const { sets, away } = usesOf(body)
  const own = (block: Block): boolean => block.slice(0, -1).every(s => s.kind === 'set' && sets.get(s.local.id) === 1 && !away.has(s.local.id))
  const go = (block: Block): Block =>
    block.map((s): Stmt => {
      if (s.kind === 'for') return { ...s, body: go(s.body) }
      if (s.kind !== 'if') return s
      const [then, otherwise] = [go(s.then), go(s.otherwise)]
      const made: Stmt = { ...s, then, otherwise }
      const first = givenIn(then, null)
      if (first === undefined || sets.get(first.id) !== 2 || !own(then) || !own(otherwise)) return made
      const second = givenIn(otherwise, first.id)
      const last = then[then.length - 1]
      if (second === undefined || last?.kind !== 'set') return made
      sets.set(first.id, 1)
      return { kind: 'set', local: last.local, value: apply('select', 'f32', s.condition, first.value, second.value) }
    })
  return go(body)
}
