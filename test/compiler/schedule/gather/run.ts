/**
 * Runs plans as gathers on plain arrays. A nest becomes the source of a JavaScript function, f32 rounded after each operation, loads
 * checked for bounds; an element that is not stored to exactly once, by the last statement of a path, is an error.
 */
import { type Gather, type GatherPlan, type GatherStep, gatherPlan, mostInputs } from '../../../../compiler/schedule/gather/gather.ts'
import { nestOf } from '../../../../compiler/schedule/gather/body.ts'
import type { Plan } from '../../../../compiler/schedule/kernel/kernel.ts'
import type { Dialect } from '../../../../compiler/schedule/nest/expression.ts'
import { type Named, type Nest, type Scalar, type Stmt, type Value, lanesOf, scalarOf } from '../../../../compiler/schedule/nest/nest.ts'
import { spacesOf } from '../../../../compiler/schedule/nest/spaces.ts'
import type { DType } from '../../../../dsl/core/prim.ts'
import { type Memory, mathsOf } from '../../gpu/interpret.ts'
import { differing, filled } from '../../gpu/run.ts'
import { interpret } from '../../plan-interpreter.ts'

const dialect: Dialect = { unit: 1, maths: mathsOf }

/** A plan as nests. */
export const gathersOf = (plan: Plan): GatherPlan => gatherPlan(plan, pieces => nestOf(pieces, dialect))

const word = new DataView(new ArrayBuffer(4))
const near = (x: number): number => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x))
/** What the source of a nest calls. */
const natives = {
  named: (name: Named, x: number): number => {
    if (typeof name !== 'string') return x ** name.pow
    switch (name) {
      case 'sigmoid':
        return 1 / (1 + Math.exp(-x))
      case 'softplus':
        return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))
      default:
        return Math[name](x)
    }
  },
  bits: (x: number, from: Scalar): number => {
    if (from !== 'f32') return x | 0
    word.setFloat32(0, x)
    return word.getInt32(0)
  },
  unbits: (x: number): number => {
    word.setInt32(0, x)
    return word.getFloat32(0)
  },
  toInt: (x: number, low: number, high: number): number => (Number.isNaN(x) ? 0 : Math.min(high, Math.max(low, Math.trunc(x)))),
  near,
  at: (data: ArrayLike<number>, i: number, space: number): number => {
    if (!(i >= 0 && i < data.length)) throw new RangeError(`load of ${i} of ${data.length} of space ${space}`)
    return data[i]!
  },
}

const held = (text: string, type: Scalar): string =>
  type === 'f32' ? `Math.fround(${text})` : type === 'i32' ? `((${text}) | 0)` : type === 'u32' ? `((${text}) >>> 0)` : `((${text}) ? 1 : 0)`

const infix = { add: '+', sub: '-', and: '&', or: '|', xor: '^', eq: '===', ne: '!==', lt: '<', le: '<=', gt: '>', ge: '>=', shl: '<<', rem: '%' } as const
const calls = { min: 'Math.min', max: 'Math.max', abs: 'Math.abs', sqrt: 'Math.sqrt', floor: 'Math.floor', nearest: 'N.near' } as const

const text = (v: Value): string => {
  if (lanesOf(v.type) === 4) throw new RangeError('a vector in a gather')
  const type = scalarOf(v.type)
  switch (v.kind) {
    case 'const':
      return held(Object.is(v.value, -0) ? '-0' : String(v.value), type)
    case 'local':
      return `v${v.id}`
    case 'load':
      return `N.at(m${v.space}, ${text(v.at)} + ${v.offset}, ${v.space})`
    case 'named':
      return held(`N.named(${JSON.stringify(v.name)}, ${text(v.args[0]!)})`, type)
    case 'apply': {
      const args = v.args.map(text)
      const [x, y, z] = args
      const from = scalarOf(v.args[v.fn === 'select' ? 1 : 0]!.type)
      switch (v.fn) {
        case 'mul':
          return from === 'f32' ? held(`${x} * ${y}`, type) : held(`Math.imul(${x}, ${y})`, type)
        case 'div':
          return from === 'f32' ? held(`${x} / ${y}`, type) : held(`Math.trunc(${x} / ${y})`, type)
        case 'neg':
          return held(`-${x}`, type)
        case 'not':
          return `(${x} ? 0 : 1)`
        case 'shr':
          return held(`${x} ${from === 'u32' ? '>>>' : '>>'} ${y}`, type)
        case 'select':
          return `(${x} ? ${y} : ${z})`
        case 'fma':
          return held(`${x} * ${y} + ${z}`, type)
        case 'convert':
          return from === 'f32' && type !== 'f32' && type !== 'bool'
            ? `N.toInt(${x}, ${type === 'i32' ? '-2147483648, 2147483647' : '0, 4294967295'})` : held(x!, type)
        case 'bits':
          return type === 'f32' ? `N.unbits(N.bits(${x}, '${from}'))` : held(`N.bits(${x}, '${from}')`, type)
        case 'min':
        case 'max':
        case 'abs':
        case 'sqrt':
        case 'floor':
        case 'nearest':
          return held(`${calls[v.fn]}(${args.join(', ')})`, type)
        case 'splat':
        case 'lanes':
          throw new RangeError('a vector in a gather')
        default:
          return held(`${x} ${infix[v.fn]} ${y}`, type)
      }
    }
    case 'lane':
    case 'shuffle':
      throw new RangeError('a vector in a gather')
  }
}

const lines = (body: readonly Stmt[], buffer: number): readonly string[] =>
  body.flatMap((s): readonly string[] => {
    switch (s.kind) {
      case 'set':
        return [`v${s.local.id} = ${text(s.value)}`]
      case 'store':
        if (s.space !== buffer) throw new RangeError(`a gather of ${buffer} stores to ${s.space}`)
        return [`out[${text(s.at)} + ${s.offset}] = ${text(s.value)}`, 'done += 1']
      case 'for':
        return [`for (v${s.counter.id} = ${text(s.from)}; v${s.counter.id} < ${text(s.to)}; v${s.counter.id} += ${s.step}) {`, ...lines(s.body, buffer), '}']
      case 'if':
        return [`if (${text(s.condition)}) {`, ...lines(s.then, buffer), '} else {', ...lines(s.otherwise, buffer), '}']
      default:
        // what threads do together: no gather has it
        throw new RangeError(`${s.kind} in a gather`)
    }
  })

/** Whether every path through a body ends with its only store. */
const endsWithStore = (body: readonly Stmt[]): boolean => {
  const stores = (s: Stmt): boolean =>
    s.kind === 'store' || (s.kind === 'for' && s.body.some(stores)) || (s.kind === 'if' && [...s.then, ...s.otherwise].some(stores))
  const last = body.at(-1)
  if (last === undefined || body.slice(0, -1).some(stores)) return false
  return last.kind === 'store' || (last.kind === 'if' && endsWithStore(last.then) && endsWithStore(last.otherwise))
}

type Run = (memory: Memory, out: Float32Array | Int32Array | Uint32Array, counters: readonly number[]) => void
const runs = new WeakMap<Nest, Run>()
const compiled = ({ made: nest, buffer }: Gather): Run => {
  const known = runs.get(nest)
  if (known !== undefined) return known
  if (!endsWithStore(nest.body)) throw new RangeError(`${nest.name}: a path does not end with its only store`)
  const { reads, writes } = spacesOf(nest)
  if (reads.size > mostInputs || writes.size !== 1) throw new RangeError(`${nest.name} reads ${reads.size} buffers and writes ${writes.size}`)
  const [i, ...counters] = nest.params
  const source = [
    '"use strict"', ...[...reads].map(space => `const m${space} = memory.get(${space})`), ...nest.locals.map(l => `let v${l.id} = NaN`),
    ...counters.map((c, n) => `const v${c.id} = counters[${n}]`), 'let done = 0',
    `for (let v${i!.id} = 0; v${i!.id} < ${nest.extent}; v${i!.id} += 1) {`, ...lines(nest.body, buffer), '}', 'return done',
  ].join('\n')
  // The source is the nest's own: this is the JavaScript engine as the interpreter.
  const f = new Function('N', 'memory', 'out', 'counters', source) as (n: typeof natives, ...rest: Parameters<Run>) => number
  const run: Run = (memory, out, given) => {
    if (given.length !== counters.length) throw new RangeError(`${nest.name}: ${counters.length} counters, ${given.length} given`)
    if (out.length !== nest.extent) throw new RangeError(`${nest.name}: an extent of ${nest.extent} for ${out.length} elements`)
    if (f(natives, memory, out, given) !== nest.extent) throw new RangeError(`${nest.name} stores too often`)
  }
  runs.set(nest, run)
  return run
}

const arrays = { f32: Float32Array, i32: Int32Array, u32: Uint32Array, bool: Int32Array } as const
export const arrayOf = (dtype: DType, n: number): Float32Array | Int32Array | Uint32Array => new arrays[dtype](n)

/** The buffers of a plan of gathers after it has run once on `memory`, which it changes; what is missing there starts as zeros. */
export const runGathers = (plan: GatherPlan, memory: Memory): Memory => {
  for (const { id, aval, role } of plan.buffers) {
    if (memory.has(id)) continue
    const data = arrayOf(aval.dtype, aval.shape.reduce((n, d) => n * d, 1))
    if (role.kind === 'constant') data.set(role.data)
    memory.set(id, data)
  }
  const go = (step: GatherStep, at: readonly number[]): void => {
    switch (step.kind) {
      case 'copy':
        return void memory.set(step.to, memory.get(step.from)!.slice())
      case 'loop':
        for (let i = 0; i < step.counter.size; i += 1) step.steps.forEach(s => go(s, [...at, i]))
        return
      case 'kernel': {
        const results = step.gathers.map(gather => {
          const { aval } = plan.buffers[gather.buffer]!
          const out = arrayOf(aval.dtype, aval.shape.reduce((n, d) => n * d, 1))
          compiled(gather)(memory, out, at)
          return [gather.buffer, out] as const
        })
        for (const [buffer, out] of results) memory.set(buffer, out)
      }
    }
  }
  plan.steps.forEach(s => go(s, []))
  return memory
}

const elements = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)

/** How a plan as gathers differs from its meaning on some values, '' if it does not; scratch that the plan does not have is left out. */
export const disagreement = (plan: Plan, tolerance = 1e-5, given = filled(plan)): string => {
  const memory: Memory = new Map(plan.buffers.flatMap(({ id, aval }) => {
    const values = given.get(id)
    if (values === undefined) return []
    const data = arrayOf(aval.dtype, elements(aval.shape))
    data.set(values)
    return [[id, data]]
  }))
  return differing(plan, runGathers(gathersOf(plan), memory), interpret(plan, given), tolerance)
}

/** The gathers of a plan's steps, each once. */
export const gathersIn = (steps: readonly GatherStep[]): readonly Gather[] =>
  steps.flatMap(s => (s.kind === 'kernel' ? s.gathers : s.kind === 'loop' ? gathersIn(s.steps) : []))
