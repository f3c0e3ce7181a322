/**
 * Tidies scans: a scan of one step is inlined; a carry that no step changes is a constant; what enters twice enters once;
 * a sequence that repeats one slice is a constant; constants that cost nothing are made where they are read; a y that is
 * a slice or a constant is no y, nor one that is another y a step earlier.
 */
import { type Builder, builder, replay } from '../ir/build.ts'
import type { Func, Id, Scan } from '../ir/ir.ts'
import { at, partsOf, range } from '../ir/view.ts'
import { filled, rewrite } from './rewrite.ts'

export const scans = (func: Func): Func => rewrite(func, () => null, tidy)

/** How an input reaches the body now. */
type Entry = { readonly outer: Id; readonly kind: 'const' | 'carry' | 'slice' }

const tidy = (b: Builder, scan: Scan): readonly Id[] | null => {
  if (scan.length === 1) return inlineOnce(b, scan)
  const { consts, carries, slices, next, ys } = partsOf(scan)
  const fixed = range(carries.length).filter(i => at(next, i) === at(carries, i).id)

  const inner = builder()
  const names = new Map<Id, Id>()
  const entries: Entry[] = []
  const seen = new Map<string, Id>()
  const enter = (outer: Id, kind: Entry['kind']): Id => {
    const key = `${kind} ${outer}`
    const before = kind === 'carry' ? undefined : seen.get(key)
    if (before !== undefined) return before
    const { shape, dtype } = b.aval(outer)
    const id = inner.param({ shape: kind === 'slice' ? shape.slice(1) : shape, dtype })
    seen.set(key, id)
    entries.push({ outer, kind })
    return id
  }
  // parameters come in order: constants, then carries, then slices; what is made inside is made after them
  const later: (() => void)[] = []
  const constant = (param: Id, outer: Id): void => {
    const op = b.definition(outer)
    if (op !== undefined && (op.prim === 'fill' || op.prim === 'iota')) later.push(() => names.set(param, inner.copy(op, [])))
    else if (op !== undefined && op.prim === 'broadcast') {
      const source = enter(at(op.inputs, 0), 'const')
      later.push(() => names.set(param, inner.copy(op, [source])))
    } else names.set(param, enter(outer, 'const'))
  }
  consts.forEach((param, i) => constant(param.id, at(scan.consts, i)))
  fixed.forEach(i => constant(at(carries, i).id, at(scan.init, i)))
  const rest: number[] = []
  slices.forEach((param, i) => {
    const op = b.definition(at(scan.xs, i))
    if (op !== undefined && op.prim === 'fill') {
      later.push(() => names.set(param.id, inner.op('fill', [], { ...op.attrs, shape: op.attrs.shape.slice(1) })))
    } else if (op !== undefined && op.prim === 'broadcast' && op.attrs.axes[0] !== 0) {
      const { shape, axes } = op.attrs
      const source = enter(at(op.inputs, 0), 'const')
      later.push(() => names.set(param.id, inner.op('broadcast', [source], { shape: shape.slice(1), axes: axes.map(axis => axis - 1) })))
    } else rest.push(i)
  })
  const carried = range(carries.length).filter(i => !fixed.includes(i))
  carried.forEach(i => names.set(at(carries, i).id, enter(at(scan.init, i), 'carry')))
  rest.forEach(i => names.set(at(slices, i).id, enter(at(scan.xs, i), 'slice')))
  later.forEach(make => make())

  const results = replay(inner, scan.body, names)
  const xsOf = new Map(slices.map((param, i) => [param.id, at(scan.xs, i)]))
  const constOf = new Map([
    ...consts.map((param, i) => [param.id, at(scan.consts, i)] as const),
    ...fixed.map(i => [at(carries, i).id, at(scan.init, i)] as const),
  ])
  // a y that needs no loop, or that another y says already
  const direct = (id: Id): Id | null => {
    const sequence = xsOf.get(id)
    if (sequence !== undefined) return sequence
    const one = constOf.get(id)
    if (one === undefined) return null
    const { shape } = b.aval(one)
    return b.op('broadcast', [one], { shape: [scan.length, ...shape], axes: range(shape.length).map(i => i + 1) })
  }
  /** For a y that is a carry as the step found it: the y that is the same carry as the step leaves it, and where it starts. */
  const earlier = (id: Id): { readonly y: number; readonly init: Id } | null => {
    const carry = carries.findIndex(param => param.id === id)
    const y = carry < 0 || scan.length < 2 || carries.some(param => param.id === next[carry]) ? -1 : ys.indexOf(at(next, carry))
    return y < 0 ? null : { y, init: at(scan.init, carry) }
  }
  const late = ys.map(earlier)
  const given = ys.map(direct)
  const newYs = results.slice(carries.length)
  const kept = [...new Set(range(ys.length).filter(i => at(given, i) === null && at(late, i) === null).map(i => at(newYs, i)))]

  const outers = (kind: Entry['kind']): readonly Id[] => entries.filter(e => e.kind === kind).map(e => e.outer)
  const body = inner.finish([...carried.map(i => at(results, i)), ...kept])
  const changed =
    fixed.length > 0 || later.length > 0 || kept.length < ys.length || outers('const').length < consts.length || outers('slice').length < slices.length
  if (!changed) return null
  const ids = b.scan({ length: scan.length, reverse: scan.reverse, consts: outers('const'), init: outers('carry'), xs: outers('slice'), body }, scan.origin)
  const stacked = (i: number): Id => at(ids, carried.length + kept.indexOf(at(newYs, i)))
  return [
    ...range(carries.length).map(i => (fixed.includes(i) ? at(scan.init, i) : at(ids, carried.indexOf(i)))),
    ...given.map((id, i) => {
      const from = late[i]
      return id ?? (from === undefined || from === null ? stacked(i) : stepLater(b, given[from.y] ?? stacked(from.y), from.init, scan.reverse))
    }),
  ]
}

/** What stood in each place a step before: the sequence moved by one, with `init` in the first place. */
const stepLater = (b: Builder, sequence: Id, init: Id, reverse: boolean): Id => {
  const { shape } = b.aval(sequence)
  const start = shape.map((_, axis) => (axis === 0 && reverse ? 1 : 0))
  const limit = shape.map((size, axis) => (axis === 0 && !reverse ? size - 1 : size))
  const moved = b.op('slice', [sequence], { start, limit, step: shape.map(() => 1) })
  const value = filled(b, init)
  const [low, high] = [!reverse, reverse].map(here => shape.map((_, axis) => (axis === 0 && here ? 1 : 0)))
  if (value !== null && low !== undefined && high !== undefined) return b.op('pad', [moved], { low, high, interior: shape.map(() => 0), value })
  const first = b.op('reshape', [init], { shape: [1, ...shape.slice(1)] })
  return b.op('concat', reverse ? [moved, first] : [first, moved], { axis: 0 })
}

const inlineOnce = (b: Builder, scan: Scan): readonly Id[] => {
  const slice = (id: Id): Id => b.op('reshape', [id], { shape: b.aval(id).shape.slice(1) })
  const results = b.inline(scan.body, [...scan.consts, ...scan.init, ...scan.xs.map(slice)], scan.origin)
  return results.map((id, i) => (i < scan.init.length ? id : b.op('reshape', [id], { shape: [1, ...b.aval(id).shape] })))
}
