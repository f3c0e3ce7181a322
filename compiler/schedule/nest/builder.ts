/**
 * Builds a loop nest one value at a time. Every value is named once (equal values share a local) and computed in the
 * outermost open block in which its operands exist, so that what does not depend on an inner loop leaves it. Loads stay
 * within the branch that asked for them: they may be out of bounds elsewhere. A marked border: the builder mutates its
 * own blocks and hands out immutable nests.
 */
import {
  type Fn, type Joining, type Local, type Matrix, type MatrixStep, type Nest, type Stmt, type Type, type Value,
  apply, constOf, i32, lanesOf, scalarOf, valueKey, vectorOf,
} from './nest.ts'

type Frame = { readonly kind: 'loop' | 'branch'; readonly stmts: Stmt[]; readonly values: Map<string, Value>; readonly memo: Map<string, Value> }

export type Builder = ReturnType<typeof builder>

const frame = (kind: Frame['kind']): Frame => ({ kind, stmts: [], values: new Map(), memo: new Map() })

/** Integer and branch-free results that are known before anything runs. */
const folded = (fn: Fn, type: Type, args: readonly Value[]): Value | undefined => {
  const [x, y] = args
  if (x === undefined) return undefined
  if (fn === 'splat' && x.kind === 'const') return constOf(type, x.value)
  if (type !== 'i32' || y === undefined) return undefined
  const a = x.kind === 'const' ? x.value : undefined
  const b = y.kind === 'const' ? y.value : undefined
  if (a !== undefined && b !== undefined) {
    switch (fn) {
      case 'add':
        return i32((a + b) | 0)
      case 'sub':
        return i32((a - b) | 0)
      case 'mul':
        return i32(Math.imul(a, b))
      default:
        return undefined
    }
  }
  if (fn === 'add') return a === 0 ? y : b === 0 ? x : undefined
  if (fn === 'mul') return a === 0 || b === 0 ? i32(0) : a === 1 ? y : b === 1 ? x : undefined
  return undefined
}

export const builder = (name: string) => {
  const frames: Frame[] = [frame('loop')]
  const locals: Local[] = []
  const params: Local[] = []
  const level = new Map<number, number>()
  let count = 0
  const top = (): Frame => frames[frames.length - 1]!
  const here = (): number => frames.length - 1
  const fresh = (type: Type, label: string): Local => {
    count += 1
    return { kind: 'local', id: count, type, name: label }
  }
  const declare = (type: Type, label: string): Local => {
    const local = fresh(type, label)
    locals.push(local)
    return local
  }
  /** The block in which a value can be computed first; undefined where it reads something that changes. */
  const levelOf = (value: Value): number | undefined => {
    switch (value.kind) {
      case 'const':
        return 0
      case 'local':
        return level.get(value.id)
      case 'load': {
        const at = levelOf(value.at)
        if (at === undefined || fickle.has(value.space)) return undefined
        const branch = frames.findLastIndex(f => f.kind === 'branch')
        return Math.max(at, branch, 0)
      }
      case 'apply':
      case 'named':
        return value.args.reduce<number | undefined>((l, arg) => maxLevel(l, levelOf(arg)), 0)
      case 'lane':
        return levelOf(value.of)
      case 'shuffle':
        return maxLevel(levelOf(value.a), levelOf(value.b))
    }
  }
  const maxLevel = (a: number | undefined, b: number | undefined): number | undefined => (a === undefined || b === undefined ? undefined : Math.max(a, b))
  const fickle = new Set<number>()

  /** Names a value: computes it once, as far out as its operands and branches allow. */
  const name_ = (value: Value, label = 't'): Value => {
    if (value.kind === 'const' || value.kind === 'local') return value
    const at = levelOf(value)
    if (at === undefined) {
      const local = declare(value.type, label)
      top().stmts.push({ kind: 'set', local, value })
      level.set(local.id, here())
      return local
    }
    const key = valueKey(value)
    for (let i = here(); i >= at; i -= 1) {
      const known = frames[i]!.values.get(key)
      if (known !== undefined) return known
    }
    const local = declare(value.type, label)
    frames[at]!.stmts.push({ kind: 'set', local, value })
    frames[at]!.values.set(key, local)
    level.set(local.id, at)
    return local
  }
  const call = (fn: Fn, type: Type, ...args: readonly Value[]): Value => folded(fn, type, args) ?? name_(apply(fn, type, ...args))

  return {
    /** A parameter of the function. */
    param: (type: Type, label: string): Local => {
      const local = fresh(type, label)
      params.push(local)
      level.set(local.id, 0)
      return local
    },
    /** Declares memory that the nest itself both writes and reads: its loads are neither shared nor moved. */
    changes: (space: number): void => {
      fickle.add(space)
    },
    let: name_,
    call,
    /** A mutable local; reads of it are never moved. Set it with `set`. */
    variable: (type: Type, label: string): Local => declare(type, label),
    set: (local: Local, value: Value): void => {
      top().stmts.push({ kind: 'set', local, value })
    },
    load: (type: Type, space: number, at: Value, offset = 0): Value => name_({ kind: 'load', type, space, at, offset }, 'load'),
    store: (space: number, at: Value, offset: number, value: Value): void => {
      top().stmts.push({ kind: 'store', space, at, offset, value })
    },
    barrier: (): void => {
      top().stmts.push({ kind: 'barrier' })
    },
    /** What the threads of a subgroup have between them; it stays where it is, outside of all branches. */
    join: (op: Joining, value: Value, label: string): Local => {
      if (frames.some(f => f.kind === 'branch')) throw new RangeError('the threads of a subgroup do not meet within a branch')
      if (scalarOf(value.type) === 'bool' || (scalarOf(value.type) === 'f32' && op !== 'sum')) throw new RangeError(`subgroups have no ${op} of ${value.type}`)
      const local = declare(value.type, label)
      top().stmts.push({ kind: 'join', op, local, value })
      level.set(local.id, here())
      return local
    },
    matrix: (role: Matrix['role'], label: string): Matrix => ({ id: (count += 1), role, name: label }),
    withMatrix: (step: MatrixStep): void => {
      top().stmts.push({ kind: 'matrix', step })
    },
    splat: (value: Value): Value => (lanesOf(value.type) === 4 ? value : call('splat', vectorOf(value.type), value)),
    lane: (value: Value, lane: number): Value => (lanesOf(value.type) === 1 ? value : name_({ kind: 'lane', type: scalarOf(value.type), of: value, lane })),
    loop: (label: string, from: Value, to: Value, step: number, body: (counter: Local) => void): void => {
      if (from.kind === 'const' && to.kind === 'const' && from.value >= to.value) return
      const counter = declare('i32', label)
      const inner = frame('loop')
      frames.push(inner)
      level.set(counter.id, here())
      body(counter)
      frames.pop()
      top().stmts.push({ kind: 'for', counter, from, to, step, body: inner.stmts })
    },
    branch: (condition: Value, then: () => void, otherwise: () => void = () => {}): void => {
      const run = (f: () => void): readonly Stmt[] => {
        const inner = frame('branch')
        frames.push(inner)
        f()
        frames.pop()
        return inner.stmts
      }
      const a = run(then)
      const b = run(otherwise)
      top().stmts.push({ kind: 'if', condition, then: a, otherwise: b })
    },
    /** Marks a local that `set` fills as readable within the open block (its value no longer changes there). */
    settle: (local: Local): void => {
      level.set(local.id, here())
    },
    /** What was remembered under `key` in an open block. */
    recall: (key: string): Value | undefined => {
      for (let i = here(); i >= 0; i -= 1) {
        const known = frames[i]!.memo.get(key)
        if (known !== undefined) return known
      }
      return undefined
    },
    remember: (key: string, value: Value): void => {
      frames[Math.min(here(), levelOf(value) ?? here())]!.memo.set(key, value)
    },
    finish: (extent: number): Nest => ({ name, params, locals, body: frames[0]!.stmts, extent }),
  }
}

const log2 = (n: number): number | null => (n > 0 && (n & (n - 1)) === 0 ? Math.log2(n) : null)
/** value * by */
export const multiplied = (b: Builder, value: Value, by: number): Value => {
  const bits = log2(by)
  return value.kind === 'const' || bits === null || bits === 0 ? b.call('mul', 'i32', value, i32(by)) : b.call('shl', 'i32', value, i32(bits))
}
/** A quotient or remainder, where the value is not negative. */
export const divided = (b: Builder, value: Value, kind: 'div' | 'mod', by: number): Value => {
  const bits = log2(by)
  if (kind === 'div') return bits === null ? b.call('div', 'i32', value, i32(by)) : b.call('shr', 'i32', value, i32(bits))
  return bits === null ? b.call('rem', 'i32', value, i32(by)) : b.call('and', 'i32', value, i32(by - 1))
}
