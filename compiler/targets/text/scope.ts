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

/** A block, and the statement of the one around it that it is part of. */
type Scope = { readonly parent: Scope | null; readonly depth: number; readonly stmts: Block; readonly loop: Scope | null; readonly stmt: Stmt | null }
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

/** The statement of a scope in which an event takes place, and the block of that statement if it is not the statement's own. */
const within = (scope: Scope, event: Event): { readonly stmt: Stmt | null; readonly inner: Scope | null } => {
  let inner: Scope | null = null
  for (let s: Scope = event.scope; s !== scope && s.parent !== null; s = s.parent) inner = s
  return { stmt: inner === null ? event.stmt : inner.stmt, inner }
}

/** Whether a block sets a local before it reads it, whichever way it takes; `events` are those of the local there, in order. */
const setsFirst = (scope: Scope, events: readonly Event[]): boolean => {
  const first = events[0]
  if (first === undefined) return false
  const { stmt, inner } = within(scope, first)
  if (inner === null) return first.kind === 'set'
  return stmt?.kind === 'if' && setsFirstIn(scope, stmt, events)
}
/** The same for both ways of a branch, of whose condition no event is. */
const setsFirstIn = (scope: Scope, stmt: Stmt, events: readonly Event[]): boolean => {
  const own = events.map(event => ({ event, ...within(scope, event) })).filter(e => e.stmt === stmt && e.inner !== null)
  const blocks = [...new Set(own.map(e => e.inner!))]
  return blocks.length === 2 && blocks.every(block => setsFirst(block, own.filter(e => e.inner === block).map(e => e.event)))
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
        case 'matrix':
          if (stmt.step.op === 'load' || stmt.step.op === 'store') reads(stmt.step.at, scope, stmt)
          break
        case 'set':
          reads(stmt.value, scope, stmt)
          note(stmt.local, { kind: 'set', scope, stmt, times: 0, epoch })
          sets.push(stmt)
          break
        case 'join':
          // as 'set', but that its value stays where it is
          reads(stmt.value, scope, stmt)
          note(stmt.local, { kind: 'set', scope, stmt, times: 0, epoch })
          break
        case 'store': {
          const wide = stmt.value.type.endsWith('x4') ? repeats.position(stmt.space) : 1
          reads(stmt.at, scope, stmt, wide)
          reads(stmt.value, scope, stmt, wide)
          break
        }
        case 'if':
          reads(stmt.condition, scope, stmt)
          block({ parent: scope, depth: scope.depth + 1, stmts: stmt.then, loop: scope.loop, stmt })
          block({ parent: scope, depth: scope.depth + 1, stmts: stmt.otherwise, loop: scope.loop, stmt })
          break
        case 'for': {
          reads(stmt.from, scope, stmt)
          reads(stmt.to, scope, stmt, 2)
          const inner: Scope = { parent: scope, depth: scope.depth + 1, stmts: stmt.body, loop: null, stmt }
          const own: Scope = { ...inner, loop: inner }
          note(stmt.counter, { kind: 'set', scope: own, stmt, times: 0, epoch })
          block(own)
          break
        }
      }
    }
  }
  const root: Scope = { parent: null, depth: 0, stmts: body, loop: null, stmt: null }
  block(root)
  if (result !== null) reads(result, root, null)

  const placed = (list: readonly Event[]): Place => {
    const first = list[0]!
    const scope = list.map(e => e.scope).reduce(common)
    const written = list.filter(e => e.kind === 'set')
    if (first.kind === 'set' && first.stmt?.kind === 'for') return written.length === 1 && first.scope === scope ? { kind: 'counter' } : { kind: 'top' }
    if (written.some(e => e.stmt?.kind === 'for')) return { kind: 'top' }
    if (first.kind === 'set' && first.scope === scope) return { kind: written.length > 1 ? 'var' : list.length === 1 ? 'dead' : 'let' }
    const { stmt, inner } = within(scope, first)
    return stmt?.kind === 'if' && inner !== null && setsFirstIn(scope, stmt, list) ? { kind: 'before', stmt } : { kind: 'top' }
  }
  const places = new Map<number, Place>([...events].map(([id, list]) => [id, placed(list)]))

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
    for (let i = from + 1; i < to; i += 1) {
      const s = set.scope.stmts[i]!
      const kind = s.kind === 'set' ? places.get(s.local.id)?.kind : undefined
      if (kind !== 'let' && kind !== 'inline') return false
    }
    return true
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
