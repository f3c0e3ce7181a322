/**
 * Builds a `Func` one instruction at a time. This file is a marked border: the builder mutates its own list, and hands
 * out immutable functions. A builder is also a `Build<Id>`, so that the reverse rules of dsl/core/vjp.ts apply to it.
 *
 * An operation that changes nothing at all (a reshape to the same shape, a cast to the same type, ...) returns its operand.
 */
import { Refusal } from '../../dsl/errors.ts'
import type { Attrs, Aval, Build, Prim } from '../../dsl/core/prim.ts'
import type { Func, Id, Inst, Op, Origin, Param, Scan } from './ir.ts'
import { inferred } from './inferred.ts'
import { at, avalsOf, nowhere, partsOf, sameAval } from './view.ts'

/** A scan before its results have ids. */
export type ScanSpec = Pick<Scan, 'length' | 'reverse' | 'consts' | 'init' | 'xs' | 'body'>

export interface Builder extends Build<Id> {
  /** Declares the next parameter. */
  readonly param: (aval: Aval, path?: string) => Id
  /** Applies a primitive. Refuses (kind 'shape') operands that do not fit. Without an origin, the one of the enclosing `within`. */
  readonly op: <P extends Prim>(prim: P, inputs: readonly Id[], attrs: Attrs[P], origin?: Origin) => Id
  /** Adds an op that already is one, with new inputs. */
  readonly copy: (op: Op, inputs: readonly Id[]) => Id
  /** Runs a body; the results' ids are [...final carries, ...stacked ys]. Refuses (kind 'shape') a body that does not fit. */
  readonly scan: (spec: ScanSpec, origin?: Origin) => readonly Id[]
  /** Replaces the body of a scan made here by one with further ys at the end; returns the ids of the further results. */
  readonly extend: (ids: readonly Id[], body: Func) => readonly Id[]
  /** Copies the instructions of `func` with `args` for its parameters; returns the ids of its results. Instructions without an origin get `origin`. */
  readonly inline: (func: Func, args: readonly Id[], origin?: Origin) => readonly Id[]
  /** Runs `f`, with `origin` for every instruction that has none of its own. */
  readonly within: <A>(origin: Origin, f: () => A) => A
  readonly aval: (id: Id) => Aval
  /** The op that defines a value; undefined for a parameter or a result of a scan. */
  readonly definition: (id: Id) => Op | undefined
  readonly finish: (results: readonly Id[]) => Func
}

const misfit = (message: string): never => {
  throw new Refusal({ kind: 'shape', operation: 'scan', message })
}

/** The types of a scan's results; refuses what does not fit. */
export const scanAvals = (spec: ScanSpec, aval: (id: Id) => Aval): readonly Aval[] => {
  const { consts, carries, slices, next, ys } = partsOf(spec)
  const body = avalsOf(spec.body)
  const of = (id: Id): Aval => body.get(id) ?? misfit(`the body has no value %${id}`)
  const show = (a: Aval): string => `${a.dtype}[${a.shape.join(', ')}]`
  const expected = spec.consts.length + spec.init.length + spec.xs.length
  if (spec.body.params.length !== expected) misfit(`the body takes ${spec.body.params.length} parameters, the scan gives ${expected}`)
  if (spec.body.results.length < spec.init.length) misfit(`the body returns ${spec.body.results.length} values, there are ${spec.init.length} carries`)
  if (!Number.isInteger(spec.length) || spec.length < 0) misfit(`a length of ${spec.length}`)
  consts.forEach((param, i) => {
    const given = aval(at(spec.consts, i))
    if (!sameAval(param.aval, given)) misfit(`constant ${i} is ${show(given)}, the body takes ${show(param.aval)}`)
  })
  carries.forEach((param, i) => {
    const given = aval(at(spec.init, i))
    const returned = of(at(next, i))
    if (!sameAval(param.aval, given)) misfit(`carry ${i} starts as ${show(given)}, the body takes ${show(param.aval)}`)
    if (!sameAval(param.aval, returned)) misfit(`carry ${i} enters a step as ${show(param.aval)} and leaves it as ${show(returned)}`)
  })
  slices.forEach((param, i) => {
    const given = aval(at(spec.xs, i))
    const slice: Aval = { shape: given.shape.slice(1), dtype: given.dtype }
    if (given.shape.length === 0) misfit(`sequence ${i} is a scalar`)
    if (given.shape[0] !== spec.length) misfit(`sequence ${i} is ${show(given)}, the scan takes ${spec.length} steps`)
    if (!sameAval(param.aval, slice)) misfit(`sequence ${i} has slices ${show(slice)}, the body takes ${show(param.aval)}`)
  })
  return [...next.map(of), ...ys.map(of).map(a => ({ shape: [spec.length, ...a.shape], dtype: a.dtype }))]
}

/** Given that operand and result have one type: does the operation change nothing? */
const idle: { readonly [P in Prim]?: (attrs: Attrs[P], output: Aval) => boolean } = {
  reshape: () => true,
  broadcast: () => true,
  cast: () => true,
  pad: () => true,
  concat: () => true,
  transpose: ({ perm }) => perm.every((axis, i) => axis === i),
  slice: ({ step }, { shape }) => step.every((s, i) => s === 1 || at(shape, i) <= 1),
  flip: ({ axes }, { shape }) => axes.every(axis => at(shape, axis) <= 1),
  sum: ({ axes }) => axes.length === 0,
  max: ({ axes }) => axes.length === 0,
  min: ({ axes }) => axes.length === 0,
}

/** An empty function under construction. */
export const builder = (): Builder => {
  const params: Param[] = []
  const insts: Inst[] = []
  const avals: Aval[] = []
  const definitions = new Map<Id, Op>()
  const scans = new Map<Id, number>()
  let current = nowhere

  const fresh = (aval: Aval): Id => avals.push(aval) - 1

  const aval = (id: Id): Aval => {
    const found = avals[id]
    if (found === undefined) throw new Refusal({ kind: 'bug', where: 'ir/build', message: `value %${id} is not defined here` })
    return found
  }

  const whence = (origin: Origin | undefined): Origin => (origin === undefined || origin.file === '' ? current : origin)

  const op = <P extends Prim>(prim: P, inputs: readonly Id[], attrs: Attrs[P], origin?: Origin): Id => {
    const output = inferred(prim, inputs.map(aval), attrs)
    const first = inputs[0]
    if (first !== undefined && inputs.length === 1 && sameAval(aval(first), output) && idle[prim]?.(attrs, output) === true) return first
    const id = fresh(output)
    // prim and attrs belong together by the signature; the union cannot see it
    const inst = { kind: 'op', prim, attrs, inputs, id, aval: output, origin: whence(origin) } as unknown as Op
    insts.push(inst)
    definitions.set(id, inst)
    return id
  }

  const copy = (inst: Op, inputs: readonly Id[]): Id => op<Prim>(inst.prim, inputs, inst.attrs, inst.origin)

  const scan = (spec: ScanSpec, origin?: Origin): readonly Id[] => {
    const { length, reverse, consts, init, xs, body } = spec
    const results = scanAvals(spec, aval)
    const ids = results.map(fresh)
    const index = insts.push({ kind: 'scan', length, reverse, consts, init, xs, body, ids, avals: results, origin: whence(origin) }) - 1
    for (const id of ids) scans.set(id, index)
    return ids
  }

  const extend = (ids: readonly Id[], body: Func): readonly Id[] => {
    const index = scans.get(at(ids, 0))
    const old = index === undefined ? undefined : insts[index]
    if (index === undefined || old === undefined || old.kind !== 'scan') {
      throw new Refusal({ kind: 'bug', where: 'ir/build', message: `%${ids[0]} is not a result of a scan` })
    }
    const results = scanAvals({ ...old, body }, aval)
    const kept = old.ids.length
    if (!old.avals.every((a, i) => sameAval(a, at(results, i)))) {
      throw new Refusal({ kind: 'bug', where: 'ir/build', message: 'an extended body changes the results that it had' })
    }
    const further = results.slice(kept).map(fresh)
    insts[index] = { ...old, body, ids: [...old.ids, ...further], avals: results }
    for (const id of further) scans.set(id, index)
    return further
  }

  const within = <A>(origin: Origin, f: () => A): A => {
    const outer = current
    current = origin.file === '' ? outer : origin
    try {
      return f()
    } finally {
      current = outer
    }
  }

  const inline = (func: Func, args: readonly Id[], origin: Origin = nowhere): readonly Id[] =>
    within(origin, () => {
      if (args.length !== func.params.length) {
        throw new Refusal({ kind: 'bug', where: 'ir/build', message: `inline: ${args.length} arguments for ${func.params.length} parameters` })
      }
      const renamed = new Map<Id, Id>()
      func.params.forEach((param, i) => {
        const arg = at(args, i)
        if (!sameAval(aval(arg), param.aval)) {
          throw new Refusal({ kind: 'bug', where: 'ir/build', message: `inline: argument ${i} (${param.path}) does not have the type of its parameter` })
        }
        renamed.set(param.id, arg)
      })
      return replay(self, func, renamed)
    })

  const finish = (results: readonly Id[]): Func => {
    results.forEach(aval)
    return { params: [...params], insts: [...insts], results: [...results] }
  }

  const param = (type: Aval, path = ''): Id => {
    const id = fresh(type)
    params.push({ id, aval: type, path })
    return id
  }

  const self: Builder = { param, op, copy, scan, extend, inline, within, aval, definition: id => definitions.get(id), finish }
  return self
}

/** The new id of an old one. */
export const renaming = (names: ReadonlyMap<Id, Id>) => (id: Id): Id => {
  const found = names.get(id)
  if (found === undefined) throw new Refusal({ kind: 'bug', where: 'ir/build', message: `value %${id} is used before it is defined` })
  return found
}

/** Copies every instruction of `func`, its values renamed by `names`, which grows by what is copied. Returns the ids of the results. */
export const replay = (b: Builder, func: Func, names: Map<Id, Id>): readonly Id[] => {
  const to = renaming(names)
  for (const inst of func.insts) {
    if (inst.kind === 'op') names.set(inst.id, b.copy(inst, inst.inputs.map(to)))
    else {
      const ids = b.scan({ ...inst, consts: inst.consts.map(to), init: inst.init.map(to), xs: inst.xs.map(to) }, inst.origin)
      inst.ids.forEach((id, i) => names.set(id, at(ids, i)))
    }
  }
  return func.results.map(to)
}

/** A function with the given parameters, built by `body` from their ids. */
export const define = (params: readonly { readonly aval: Aval; readonly path: string }[], body: (b: Builder, ids: readonly Id[]) => readonly Id[]): Func => {
  const b = builder()
  return b.finish(body(b, params.map(p => b.param(p.aval, p.path))))
}
