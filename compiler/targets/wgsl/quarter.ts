/**
 * Positions in buffers of four-vectors: a nest counts elements, WGSL counts vectors. A position that is visibly four times
 * another, by few operations, is divided where it stands, through the names of its parts; any other is shifted when it is used.
 */
import { type Stmt, type Value, apply, i32 } from '../../schedule/nest/nest.ts'
import type { Block } from '../text/scope.ts'

const deepest = 6

/** A quarter of a value that is a multiple of four by its form; null where that does not show. */
const quarter = (value: Value, definition: (id: number) => Value | undefined, depth = 0): Value | null => {
  if (value.kind === 'const') return value.value % 4 === 0 ? i32(value.value / 4) : null
  if (value.kind === 'local') {
    const known = depth < deepest ? definition(value.id) : undefined
    return known === undefined ? null : quarter(known, definition, depth + 1)
  }
  if (value.kind !== 'apply' || value.type !== 'i32') return null
  const [x, y] = value.args
  if (x === undefined || y === undefined) return null
  switch (value.fn) {
    case 'add':
    case 'sub': {
      const [p, q] = [quarter(x, definition, depth + 1), quarter(y, definition, depth + 1)]
      return p === null || q === null ? null : q.kind === 'const' && q.value === 0 ? p : apply(value.fn, 'i32', p, q)
    }
    case 'mul': {
      const [factor, other] = y.kind === 'const' ? [y, x] : [x, y]
      if (factor.kind !== 'const' || factor.value % 4 !== 0) return null
      return factor.value === 4 ? other : apply('mul', 'i32', other, i32(factor.value / 4))
    }
    case 'shl':
      return y.kind !== 'const' || y.value < 2 ? null : y.value === 2 ? x : apply('shl', 'i32', x, i32(y.value - 2))
    default:
      return null
  }
}

const most = 5
const sizeOf = (value: Value): number => (value.kind === 'apply' ? value.args.reduce((n, arg) => n + sizeOf(arg), 1) : 1)

/** The same nest with positions of the spaces `wide` counted in vectors. `definition`: the value of a local that never changes. */
export const inVectors = (body: Block, wide: (space: number) => boolean, definition: (id: number) => Value | undefined): Block => {
  const place = (at: Value, offset: number): { readonly at: Value; readonly offset: number } => {
    if (offset % 4 !== 0) return { at: apply('shr', 'i32', apply('add', 'i32', at, i32(offset)), i32(2)), offset: 0 }
    const found = quarter(at, definition)
    return { at: found !== null && sizeOf(found) <= most ? found : apply('shr', 'i32', at, i32(2)), offset: offset / 4 }
  }
  const value = (v: Value): Value => {
    switch (v.kind) {
      case 'const':
      case 'local':
        return v
      case 'load':
        return wide(v.space) ? { ...v, ...place(value(v.at), v.offset) } : { ...v, at: value(v.at) }
      case 'apply':
      case 'named':
        return { ...v, args: v.args.map(value) }
      case 'lane':
        return { ...v, of: value(v.of) }
      case 'shuffle':
        return { ...v, a: value(v.a), b: value(v.b) }
    }
  }
  const stmt = (s: Stmt): Stmt => {
    switch (s.kind) {
      case 'barrier':
        return s
      case 'matrix':
        if (s.step.op !== 'load' && s.step.op !== 'store') return s
        if (wide(s.step.space)) throw new RangeError('matrices lie in memory of single numbers')
        return { ...s, step: { ...s.step, at: value(s.step.at) } }
      case 'set':
      case 'join':
        return { ...s, value: value(s.value) }
      case 'store':
        return { ...s, ...(wide(s.space) ? place(value(s.at), s.offset) : { at: value(s.at) }), value: value(s.value) }
      case 'if':
        return { ...s, condition: value(s.condition), then: s.then.map(stmt), otherwise: s.otherwise.map(stmt) }
      case 'for':
        return { ...s, from: value(s.from), body: s.body.map(stmt) }
    }
  }
  return body.map(stmt)
}
