/**
 * A small interpreter of dispatches: every thread of every workgroup, in lockstep between barriers. f32 is rounded after each
 * operation, loads and stores are checked for bounds and for races, workgroup memory starts as NaN. Nests become closures first.
 */
import { type Dispatch, mostMatrixBytes, mostSharedBytes, sharedBytesOf, subgroupThreads } from '../../../compiler/schedule/gpu/dispatch.ts'
import type { Maths } from '../../../compiler/schedule/nest/operations.ts'
import {
  type Fn, type Joining, type Local, type MatrixStep, type Scalar, type Stmt, type Type, type Value, lanesOf, scalarOf,
} from '../../../compiler/schedule/nest/nest.ts'
import { type Subgroup, doStep, freshSubgroup, half } from './matrix-steps.ts'

export type Memory = Map<number, Float32Array | Int32Array | Uint32Array>
type One = number
type Any = One | readonly One[]
type Thread = { readonly locals: Any[]; readonly id: number; readonly own: number; readonly group: Group; steps: number }
type Group = {
  readonly shared: ReadonlyMap<number, Float64Array>
  readonly marks: ReadonlyMap<number, Marks>
  readonly subgroups: readonly Subgroup[]
}
type Eval = (t: Thread) => Any

/** Who wrote and read each element last: threads of all groups, and in workgroup memory only since the last barrier. */
type Marks = { readonly wrote: Int32Array; readonly read: Int32Array }
const nobody = -1
const several = -2
const marksFor = (n: number): Marks => ({ wrote: new Int32Array(n).fill(nobody), read: new Int32Array(n).fill(nobody) })

/** Functions that the target writes down once: their meaning. */
export const mathsOf: Maths = {
  call: (b, fn, x) => b.let({ kind: 'named', name: fn, type: x.type, args: [x] }),
  pow: (b, x, exponent) => b.let({ kind: 'named', name: { pow: exponent }, type: x.type, args: [x] }),
}
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))
const named = { exp: Math.exp, log: Math.log, log1p: Math.log1p, expm1: Math.expm1, sin: Math.sin, cos: Math.cos, tanh: Math.tanh, sigmoid, softplus } as const

const word = new DataView(new ArrayBuffer(4))
const toBits = (x: number, type: Scalar): number => {
  if (type !== 'f32') return x | 0
  word.setFloat32(0, x)
  return word.getInt32(0)
}
const fromBits = (x: number, type: Scalar): number => {
  if (type !== 'f32') return held(x, type)
  word.setInt32(0, x)
  return word.getFloat32(0)
}
/** A number as its type holds it. */
const held = (x: number, type: Scalar): number => (type === 'f32' ? Math.fround(x) : type === 'i32' ? x | 0 : type === 'u32' ? x >>> 0 : x === 0 ? 0 : 1)
const saturated = (x: number, from: Scalar, to: Scalar): number =>
  from !== 'f32' || to === 'f32' ? x
  : to === 'bool' ? Number(x !== 0)
  : Number.isNaN(x) ? 0
  : to === 'i32' ? Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.trunc(x))) : Math.max(0, Math.min(2 ** 32 - 1, Math.trunc(x)))
const evenly = (x: number): number => {
  const low = Math.floor(x)
  return x - low < 0.5 ? low : x - low > 0.5 ? low + 1 : low % 2 === 0 ? low : low + 1
}

type Rule = (x: number, y: number, z: number, type: Scalar) => number
/** Of one lane each; `type` is that of the operands. */
const rules: { readonly [F in Exclude<Fn, 'splat' | 'lanes' | 'convert' | 'bits'>]: Rule } = {
  add: (x, y) => x + y, sub: (x, y) => x - y,
  mul: (x, y, _z, type) => (type === 'f32' ? x * y : Math.imul(x, y)),
  div: (x, y, _z, type) => (type === 'f32' ? x / y : Math.trunc(x / y)),
  rem: (x, y) => x % y, min: (x, y) => Math.min(x, y), max: (x, y) => Math.max(x, y), neg: x => -x, abs: x => Math.abs(x),
  sqrt: x => Math.sqrt(x), floor: x => Math.floor(x), nearest: x => evenly(x),
  and: (x, y) => x & y, or: (x, y) => x | y, xor: (x, y) => x ^ y, not: x => Number(x === 0),
  shl: (x, y) => x << y, shr: (x, y, _z, type) => (type === 'u32' ? x >>> y : x >> y),
  eq: (x, y) => Number(x === y), ne: (x, y) => Number(x !== y), lt: (x, y) => Number(x < y), le: (x, y) => Number(x <= y),
  gt: (x, y) => Number(x > y), ge: (x, y) => Number(x >= y), select: (c, x, y) => (c !== 0 ? x : y), fma: (x, y, z) => x * y + z,
}

const laneOf = (x: Any, lane: number): number => (typeof x === 'number' ? x : x[lane]!)
const one = (x: Any): number => (typeof x === 'number' ? x : x[0]!)

/** Which threads of a workgroup are in one subgroup: those with one number. */
export type Subgroups = (thread: number) => number
const linear: Subgroups = thread => Math.floor(thread / subgroupThreads)

const joinedBy: { readonly [J in Joining]: (x: number, y: number) => number } = { sum: (x, y) => x + y, max: Math.max, min: Math.min }

/**
 * Runs all groups of a dispatch on the buffers; `counters` are those of the loops around it, from the outside in. `subgroupOf` says which threads
 * join what they have; subgroups that hold matrices are those of a device with tensor cores.
 */
export const runDispatch = (
  { nest, threads, shared, quads, subgroup }: Dispatch, memory: Memory, counters: readonly number[] = [], subgroupOf = linear,
): void => {
  const marksOf = new Map([...memory].map(([space, data]) => [space, marksFor(data.length)]))
  const owned = new Map(shared.map(s => [s.space, s]))
  const fail = (text: string): never => {
    throw new RangeError(`${nest.name}: ${text}`)
  }
  if (threads < 1 || threads > 256 || !Number.isInteger(threads)) fail(`${threads} threads`)
  if (sharedBytesOf({ shared }) > (subgroup === undefined ? mostSharedBytes : mostMatrixBytes)) fail('too much workgroup memory')
  if (subgroup !== undefined && threads % subgroupThreads !== 0) fail(`${threads} threads are no whole subgroups`)

  type Data = Float32Array | Float64Array | Int32Array | Uint32Array
  type Check = (t: Thread, at: number) => void
  type Access = { readonly data: (t: Thread) => Data; readonly check: Check }
  /** How values of a type are read from a space, or written to it: what holds them, and what must be so. */
  const access = (space: number, type: Type, write: boolean): Access => {
    const own = owned.get(space)
    const [buffer, all] = [memory.get(space), marksOf.get(space)]
    if (own === undefined && (buffer === undefined || all === undefined)) return fail(`space ${space} is unknown`)
    const suits = own === undefined || (scalarOf(own.type) === scalarOf(type) && lanesOf(own.type) <= lanesOf(type))
    if (!suits) fail(`workgroup memory of ${own.type} is used as ${type}`)
    const lanes = lanesOf(type)
    const aligned = quads.has(space) || (own !== undefined && lanes === 4)
    if (aligned && lanes !== 4) fail(`space ${space} is touched one by one, too`)
    const data = own === undefined ? () => buffer! : (t: Thread): Data => t.group.shared.get(space)!
    const marks = own === undefined ? () => all! : (t: Thread): Marks => t.group.marks.get(space)!
    const check: Check = (t, at) => {
      if (!(at >= 0 && at + lanes <= data(t).length)) fail(`${write ? 'store to' : 'load of'} ${at} of ${data(t).length} of space ${space}`)
      if (aligned && at % 4 !== 0) fail(`space ${space} at ${at} is no aligned vector`)
      const { wrote, read } = marks(t)
      for (let i = at; i < at + lanes; i += 1) {
        const [w, r] = [wrote[i]!, read[i]!]
        if (w !== nobody && w !== t.id) fail(`threads ${w} and ${t.id} meet at ${i} of space ${space}`)
        if (write && r !== nobody && r !== t.id) fail(`thread ${t.id} writes what another reads at ${i} of space ${space}`)
        if (write) wrote[i] = t.id
        else if (r !== t.id) read[i] = r === nobody ? t.id : several
      }
    }
    return { data, check }
  }

  const lift = (v: Value): Eval => {
    switch (v.kind) {
      case 'const': {
        const x = held(v.value, scalarOf(v.type))
        return lanesOf(v.type) === 4 ? () => [x, x, x, x] : () => x
      }
      case 'local':
        return t => t.locals[v.id] ?? fail(`${v.name} has no value`)
      case 'load': {
        const at = lift(v.at)
        const { type, offset } = v
        const { data, check } = access(v.space, type, false)
        const where = (t: Thread): number => {
          const from = one(at(t)) + offset
          check(t, from)
          return from
        }
        if (lanesOf(type) === 1) return t => data(t)[where(t)]!
        return t => {
          const from = where(t)
          const all = data(t)
          return [all[from]!, all[from + 1]!, all[from + 2]!, all[from + 3]!]
        }
      }
      case 'apply':
        return applied(v.fn, v.type, v.args)
      case 'named': {
        const x = lift(v.args[0]!)
        const { name } = v
        const f = typeof name === 'string' ? named[name] : (a: number): number => a ** name.pow
        return t => {
          const a = x(t)
          return typeof a === 'number' ? Math.fround(f(a)) : a.map(e => Math.fround(f(e)))
        }
      }
      case 'lane': {
        const x = lift(v.of)
        return t => laneOf(x(t), v.lane)
      }
      case 'shuffle': {
        const [a, b] = [lift(v.a), lift(v.b)]
        return t => {
          const [x, y] = [a(t), b(t)]
          return v.lanes.map(i => (i < 4 ? laneOf(x, i) : laneOf(y, i - 4)))
        }
      }
    }
  }
  const applied = (fn: Fn, type: Type, args: readonly Value[]): Eval => {
    const parts = args.map(lift)
    const [x, y, z] = parts
    // a select begins with its condition, shifts end with their count
    const [to, from] = [scalarOf(type), scalarOf(args[fn === 'select' ? 1 : 0]!.type)]
    if (fn === 'splat') return t => Array.from({ length: 4 }, () => one(x!(t)))
    if (fn === 'lanes') return t => parts.map(p => one(p(t)))
    const f: Rule =
      fn === 'convert' ? a => held(saturated(a, from, to), to)
      : fn === 'bits' ? (from === 'bool' && to !== 'bool' ? a => held(-a, to) : a => fromBits(toBits(a, from), to))
      : (a, b, c) => held(rules[fn](a, b, c, from), to)
    if (lanesOf(type) === 1) return t => f(one(x!(t)), y === undefined ? 0 : one(y(t)), z === undefined ? 0 : one(z(t)), from)
    return t => {
      const [a, b, c] = [x!(t), y?.(t) ?? 0, z?.(t) ?? 0]
      return [0, 1, 2, 3].map(i => f(laneOf(a, i), laneOf(b, i), laneOf(c, i), from))
    }
  }

  type Run = (t: Thread) => void
  /** The first thread of a subgroup does what all of its threads do together; the others only show that they do the same. */
  const matrixStep = (step: MatrixStep): Run => {
    const touched = step.op === 'load' || step.op === 'store' ? step : null
    const at = touched === null ? () => 0 : lift(touched.at)
    const memory = touched === null ? null : access(touched.space, 'f32', step.op === 'store')
    const kept = touched === null ? undefined : owned.get(touched.space)?.kept
    if (step.op === 'load' && kept !== 'half') fail('a matrix is loaded from memory that is not in half precision')
    if (step.op === 'store' && kept === 'half') fail('a matrix of sums is stored in half precision')
    return t => {
      const own = t.group.subgroups[Math.floor(t.own / subgroupThreads)] ?? fail('no subgroup')
      const position = one(at(t))
      const what = `${step.op} ${step.matrix.id} at ${position}`
      t.steps += 1
      if (t.own % subgroupThreads !== 0) {
        if (own.done[t.steps - 1] !== what) fail(`thread ${t.own} does ${what}, another of its subgroup ${own.done[t.steps - 1]}`)
        return
      }
      own.done.push(what)
      const cell = (place: number): number => {
        memory!.check(t, place)
        return place
      }
      doStep(own, step, position, {
        get: place => memory!.data(t)[cell(place)]!,
        set: (place, value) => {
          memory!.data(t)[cell(place)] = value
        },
      })
    }
  }
  /** Every thread comes to the same barriers and joints, which it gives. */
  type Waiting = (t: Thread) => Generator<Stmt, void, void>
  const waits = (s: Stmt): boolean => s.kind === 'barrier' || s.kind === 'join' || (s.kind === 'for' && s.body.some(waits)) || (s.kind === 'if' && [...s.then,
    ...s.otherwise].some(waits))
  const run = (s: Stmt): Run => {
    switch (s.kind) {
      case 'set': {
        const value = lift(s.value)
        return t => {
          t.locals[s.local.id] = value(t)
        }
      }
      case 'store': {
        const [at, value] = [lift(s.at), lift(s.value)]
        const { data, check } = access(s.space, s.value.type, true)
        return t => {
          const x = value(t)
          const from = one(at(t)) + s.offset
          check(t, from)
          const rounded = owned.get(s.space)?.kept === 'half' ? half : (one: number): number => one
          for (let i = 0; i < lanesOf(s.value.type); i += 1) data(t)[from + i] = rounded(laneOf(x, i))
        }
      }
      case 'for': {
        const [from, to, body] = [lift(s.from), lift(s.to), block(s.body)]
        return t => {
          for (let i = one(from(t)); i < one(to(t)); i += s.step) {
            t.locals[s.counter.id] = i
            body(t)
          }
        }
      }
      case 'if': {
        const [condition, then, otherwise] = [lift(s.condition), block(s.then), block(s.otherwise)]
        return t => (one(condition(t)) !== 0 ? then(t) : otherwise(t))
      }
      case 'barrier':
      case 'join':
        return () => fail(`a ${s.kind} where none can be waited for`)
      case 'matrix':
        return matrixStep(s.step)
    }
  }
  const block = (body: readonly Stmt[]): Run => {
    const runs = body.map(run)
    return t => runs.forEach(r => r(t))
  }
  const waiting = (body: readonly Stmt[]): Waiting => {
    const runs = body.map((s): { readonly now: Run } | { readonly then: Waiting } => {
      if (!waits(s)) return { now: run(s) }
      switch (s.kind) {
        case 'barrier':
          return { then: function* () { yield s } }
        case 'join': {
          const value = lift(s.value)
          return {
            then: function* (t) {
              t.locals[s.local.id] = value(t)
              yield s
            },
          }
        }
        case 'for': {
          const [from, to, inner] = [lift(s.from), lift(s.to), waiting(s.body)]
          return {
            then: function* (t) {
              for (let i = one(from(t)); i < one(to(t)); i += s.step) {
                t.locals[s.counter.id] = i
                yield* inner(t)
              }
            },
          }
        }
        case 'if': {
          const [condition, then, otherwise] = [lift(s.condition), waiting(s.then), waiting(s.otherwise)]
          return { then: function* (t) { yield* one(condition(t)) !== 0 ? then(t) : otherwise(t) } }
        }
        default:
          return { now: run(s) }
      }
    })
    return function* (t) {
      for (const r of runs) {
        if ('now' in r) r.now(t)
        else yield* r.then(t)
      }
    }
  }

  /** Every thread has given its value: now it gets what those of its subgroup have between them. */
  const join = ({ op, local, value }: Extract<Stmt, { kind: 'join' }>, members: readonly Thread[]): void => {
    const found = new Map<number, number>()
    for (const { own, locals } of members) {
      const [at, x] = [subgroupOf(own), one(locals[local.id]!)]
      const before = found.get(at)
      found.set(at, before === undefined ? x : held(joinedBy[op](before, x), scalarOf(value.type)))
    }
    for (const { own, locals } of members) locals[local.id] = found.get(subgroupOf(own))!
  }

  const start = (group: number, thread: number, own: Group): Thread => {
    const locals: Any[] = []
    const given = [group, thread, ...counters, ...(subgroup === undefined ? [] : [Math.floor(thread / subgroupThreads)])]
    if (nest.params.length !== given.length) fail(`${nest.params.length} parameters, ${given.length} given`)
    nest.params.forEach((p: Local, i) => {
      locals[p.id] = given[i]!
    })
    return { locals, id: group * threads + thread, own: thread, group: own, steps: 0 }
  }
  const plain = nest.body.some(waits) ? null : block(nest.body)
  const lockstep = waiting(nest.body)
  for (let group = 0; group < nest.extent; group += 1) {
    const own: Group = {
      shared: new Map(shared.map(s => [s.space, new Float64Array(s.elements * lanesOf(s.type)).fill(NaN)])),
      marks: new Map(shared.map(s => [s.space, marksFor(s.elements * lanesOf(s.type))])),
      subgroups: Array.from({ length: Math.ceil(threads / subgroupThreads) }, freshSubgroup),
    }
    const members = Array.from({ length: threads }, (_, thread) => start(group, thread, own))
    if (plain !== null) members.forEach(plain)
    else {
      let live = members.map(t => lockstep(t))
      while (live.length > 0) {
        const at = live.flatMap(t => {
          const { value, done } = t.next()
          return done === true ? [] : [value]
        })
        const [first] = at
        if (at.length !== 0 && at.length !== threads) fail(`a barrier that ${at.length} of ${threads} threads reach`)
        if (at.some(s => s !== first)) fail('threads wait for each other in different places')
        if (first?.kind === 'join') join(first, members)
        else own.marks.forEach(m => [m.wrote, m.read].forEach(x => x.fill(nobody)))
        if (first === undefined) live = []
      }
      members.forEach(t => {
        if (t.steps !== own.subgroups[Math.floor(t.own / subgroupThreads)]!.done.length) fail(`thread ${t.own} leaves its subgroup`)
      })
    }
  }
}
