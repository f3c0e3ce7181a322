/**
 * Where the locals of a nest are declared in text, and which of them need no name: a local that is set once, before all
 * that reads it, is a constant of its block; one that is read once can stand where it is read, where nothing in between
 * can change its value.
 */
import type { Local, Stmt, Value } from '../../schedule/nest/nest.ts'

export type Block = readonly Stmt[]

/**
 * `let`: a constant, at the only statement that sets it. `var`: a variable, at the statement that sets it first.
 * `before`: a variable without a value, before the statement in which it is set. `top`: the same, before everything.
 * `counter`: by its loop. `inline`: not at all, its value stands where it is read. `dead`: nothing reads it.
 */
export type Place = { readonly kind: 'let' | 'var' | 'top' | 'counter' | 'inline' | 'dead' } | { readonly kind: 'before'; readonly stmt: Stmt }

type Scope = { readonly parent: Scope | null; readonly depth: number; readonly stmts: Block; readonly loop: Scope | null; readonly owner: Local | null }
type Event = { readonly kind: 'set' | 'read'; readonly scope: Scope; readonly stmt: Stmt | null; readonly times: number; readonly epoch: number }
type Read = (local: Local, times: number) => void

/** How the text repeats what a load, store or shuffle is given. */
export type Repeats = {
  /** Of a position of four neighbours in `space`. */
  readonly position: (space: number) => number
  /** Whether a load may change its place within a loop, as long as it crosses no barrier. */
  readonly steady: (space: number) => boolean
}

const readsOf = (value: Value, repeats: Repeats, read: Read, times = 1): void => {
  switch (value.kind) {
    case 'const':
      return
    case 'local':
      return read(value, times)
    case 'load':
      return readsOf(value.at, repeats, read, value.type.endsWith('x4') ? times * repeats.position(value.space) : times)
    case 'apply':
    case 'named':
      return value.args.forEach(arg => readsOf(arg, repeats, read, times))
    case 'lane':
      return readsOf(value.of, repeats, read, times)
    case 'shuffle':
      readsOf(value.a, repeats, read, 2 * times)
      return readsOf(value.b, repeats, read, 2 * times)
  }
}

const common = (a: Scope, b: Scope): Scope => {
  let [x, y]: [Scope, Scope] = [a, b]
  while (x !== y) {
    if (x.depth >= y.depth && x.parent !== null) x = x.parent
    else if (y.parent !== null) y = y.parent
    else break
  }
  return x
}

const mentions = (stmt: Stmt, id: number, repeats: Repeats): boolean => {
  let found = false
  const value = (v: Value): void => readsOf(v, repeats, l => {
    found ||= l.id === id
  })
  switch (stmt.kind) {
    case 'barrier':
      return false
    case 'set':
      value(stmt.value)
      return found || stmt.local.id === id
    case 'store':
      value(stmt.at)
      value(stmt.value)
      return found
    case 'if':
      value(stmt.condition)
      return found || [...stmt.then, ...stmt.otherwise].some(s => mentions(s, id, repeats))
    case 'for':
      value(stmt.from)
      value(stmt.to)
      return found || stmt.counter.id === id || stmt.body.some(s => mentions(s, id, repeats))
  }
}

/** Whether a block sets a local before it reads it, whichever way it takes. */
const setsFirst = (block: Block, id: number, repeats: Repeats): boolean => {
  const first = block.find(s => mentions(s, id, repeats))
  if (first === undefined) return false
  const reads = (v: Value): boolean => mentions({ kind: 'store', space: 0, at: v, offset: 0, value: v }, id, repeats)
  if (first.kind === 'set') return first.local.id === id && !reads(first.value)
  return first.kind === 'if' && !reads(first.condition) && setsFirst(first.then, id, repeats) && setsFirst(first.otherwise, id, repeats)
}

/** Whether every part is a constant: such an expression is computed, and checked, before the module runs. */
export const constant = (value: Value): boolean => {
  switch (value.kind) {
    case 'const':
      return true
    case 'local':
    case 'load':
    case 'named':
      return false
    case 'apply':
      return value.args.every(constant)
    case 'lane':
      return constant(value.of)
    case 'shuffle':
      return constant(value.a) && constant(value.b)
  }
}

const longest = 9

/** The places of all locals but parameters. `result` is read after the body. */
export const placesOf = (body: Block, params: readonly Local[], repeats: Repeats, result: Value | null = null): ReadonlyMap<number, Place> => {
  const events = new Map<number, Event[]>()
  const sets: { readonly local: Local; readonly value: Value }[] = []
  const positions = new Map<Stmt, number>()
  let epoch = 0
  const note = (local: Local, event: Event): void => {
    const list = events.get(local.id)
    if (list === undefined) events.set(local.id, [event])
    else list.push(event)
  }
  const reads = (v: Value, scope: Scope, stmt: Stmt | null, times = 1): void =>
    readsOf(v, repeats, (local, n) => note(local, { kind: 'read', scope, stmt, times: n * times, epoch }))
  const block = (scope: Scope): void => {
    for (const [index, stmt] of scope.stmts.entries()) {
      positions.set(stmt, index)
      switch (stmt.kind) {
        case 'barrier':
          epoch += 1
          break
        case 'set':
          reads(stmt.value, scope, stmt)
          note(stmt.local, { kind: 'set', scope, stmt, times: 0, epoch })
          sets.push(stmt)
          break
        case 'store': {
          const wide = stmt.value.type.endsWith('x4') ? repeats.position(stmt.space) : 1
          reads(stmt.at, scope, stmt, wide)
          reads(stmt.value, scope, stmt, wide)
          break
        }
        case 'if':
          reads(stmt.condition, scope, stmt)
          block({ parent: scope, depth: scope.depth + 1, stmts: stmt.then, loop: scope.loop, owner: null })
          block({ parent: scope, depth: scope.depth + 1, stmts: stmt.otherwise, loop: scope.loop, owner: null })
          break
        case 'for': {
          reads(stmt.from, scope, stmt)
          reads(stmt.to, scope, stmt, 2)
          const inner: Scope = { parent: scope, depth: scope.depth + 1, stmts: stmt.body, loop: null, owner: stmt.counter }
          const own: Scope = { ...inner, loop: inner }
          note(stmt.counter, { kind: 'set', scope: own, stmt, times: 0, epoch })
          block(own)
          break
        }
      }
    }
  }
  const root: Scope = { parent: null, depth: 0, stmts: body, loop: null, owner: null }
  block(root)
  if (result !== null) reads(result, root, null)

  const placed = (id: number, list: readonly Event[]): Place => {
    const first = list[0]!
    const scope = list.map(e => e.scope).reduce(common)
    const written = list.filter(e => e.kind === 'set')
    if (first.kind === 'set' && first.stmt?.kind === 'for') return written.length === 1 && first.scope === scope ? { kind: 'counter' } : { kind: 'top' }
    if (written.some(e => e.stmt?.kind === 'for')) return { kind: 'top' }
    if (first.kind === 'set' && first.scope === scope) return { kind: written.length > 1 ? 'var' : list.length === 1 ? 'dead' : 'let' }
    const stmt = scope.stmts.find(s => mentions(s, id, repeats))
    return stmt !== undefined && setsFirst([stmt], id, repeats) ? { kind: 'before', stmt } : { kind: 'top' }
  }
  const places = new Map<number, Place>([...events].map(([id, list]) => [id, placed(id, list)]))

  const given = new Set(params.map(p => p.id))
  const sizes = new Map<number, number>()
  /** Inlined locals whose values loads are part of, and those that something may change later. */
  const [loading, tied] = [new Set<number>(), new Set<number>()]
  const inline = (id: number): boolean => places.get(id)?.kind === 'inline'
  const some = (v: Value, holds: (part: Value) => boolean): boolean => {
    if (holds(v)) return true
    switch (v.kind) {
      case 'const':
      case 'local':
        return false
      case 'load':
        return some(v.at, holds)
      case 'apply':
      case 'named':
        return v.args.some(arg => some(arg, holds))
      case 'lane':
        return some(v.of, holds)
      case 'shuffle':
        return some(v.a, holds) || some(v.b, holds)
    }
  }
  const loads = (v: Value): boolean => some(v, p => p.kind === 'load' || (p.kind === 'local' && loading.has(p.id)))
  /** Whether a value could be another one later. */
  const fickle = (v: Value): boolean =>
    some(v, p => {
      if (p.kind === 'load') return !repeats.steady(p.space)
      if (p.kind !== 'local' || given.has(p.id)) return false
      const kind = places.get(p.id)?.kind
      return tied.has(p.id) || (kind !== 'let' && kind !== 'counter' && kind !== 'inline')
    })
  const sizeOf = (v: Value): number => {
    let size = 0
    some(v, p => {
      size += p.kind === 'lane' ? 0 : p.kind === 'local' && inline(p.id) ? sizes.get(p.id) ?? 1 : 1
      return false
    })
    return size
  }
  /** Whether nothing but constants are set between two statements of one block. */
  const adjacent = (set: Event, read: Event): boolean => {
    if (set.scope !== read.scope || read.stmt === null) return false
    const [from, to] = [positions.get(set.stmt!)!, positions.get(read.stmt)!]
    return set.scope.stmts.slice(from + 1, to).every(s => s.kind === 'set' && ['let', 'inline'].includes(places.get(s.local.id)?.kind ?? ''))
  }
  for (const { local, value } of sets) {
    const list = events.get(local.id)!
    const [set, read] = list
    if (places.get(local.id)?.kind !== 'let' || list.length !== 2 || set === undefined || read === undefined || read.times !== 1) continue
    if (constant(value) || sizeOf(value) > longest) continue
    const moves = fickle(value)
    if (moves ? !adjacent(set, read) : set.scope.loop !== read.scope.loop || (set.epoch !== read.epoch && loads(value))) continue
    sizes.set(local.id, sizeOf(value))
    if (loads(value)) loading.add(local.id)
    if (moves) tied.add(local.id)
    places.set(local.id, { kind: 'inline' })
  }
  return places
}
