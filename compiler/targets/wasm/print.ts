/**
 * Prints a loop nest as the body of a WebAssembly function. Scalars of type bool, i32 and u32 are i32; vectors are v128,
 * a vector of bools being a mask of all ones or zeros per lane.
 */
import type { Fn, Local, Nest, Scalar, Stmt, Type, Value } from '../../schedule/nest/nest.ts'
import { lanesOf, scalarOf, valueKey } from '../../schedule/nest/nest.ts'
import { code, float, scalarCode, signed, simd, types, unsigned, vectorCode, word, type WasmType } from './encode.ts'

export type Layout = {
  /** The byte at which a space begins. */
  readonly base: (space: number) => number
  /** Whether relaxed SIMD may be used. */
  readonly fma: boolean
}

const wasmType = (type: Type): WasmType => (lanesOf(type) === 4 ? 'v128' : type === 'f32' ? 'f32' : 'i32')

const refused = (fn: Fn, type: Type): never => {
  throw new RangeError(`no WebAssembly for ${fn} of ${type}`)
}

const scalarApply = (fn: Fn, type: Scalar, from: Scalar): readonly number[] => {
  const i = scalarCode.i32
  const f = scalarCode.f32
  const one = (c: number): number[] => [c]
  if (from === 'f32') {
    switch (fn) {
      case 'eq': case 'ne': case 'lt': case 'gt': case 'le': case 'ge': case 'abs': case 'neg': case 'floor': case 'nearest': case 'sqrt':
      case 'add': case 'sub': case 'mul': case 'div': case 'min': case 'max':
        return one(f[fn])
      case 'convert':
        return type === 'i32' ? [...scalarCode.truncS] : type === 'u32' ? [...scalarCode.truncU] : type === 'bool' ? [code.f32Const, ...float(0), f.ne] : []
      case 'bits':
        return type === 'f32' ? [] : one(scalarCode.bitsToI32)
      case 'fma': case 'select': case 'splat': case 'lanes': case 'and': case 'or': case 'xor': case 'not': case 'shl': case 'shr': case 'rem':
        return refused(fn, from)
    }
  }
  const s = from === 'i32'
  switch (fn) {
    case 'eq': case 'ne': case 'add': case 'sub': case 'mul': case 'and': case 'or': case 'xor': case 'shl':
      return one(i[fn])
    case 'lt':
      return one(s ? i.ltS : i.ltU)
    case 'le':
      return one(s ? i.leS : i.leU)
    case 'gt':
      return one(s ? i.gtS : i.gtU)
    case 'ge':
      return one(s ? i.geS : i.geU)
    case 'div':
      return one(s ? i.divS : i.divU)
    case 'rem':
      return one(s ? i.remS : i.remU)
    case 'shr':
      return one(s ? i.shrS : i.shrU)
    case 'not':
      return one(i.eqz)
    case 'convert':
      return type === 'f32' ? one(s ? scalarCode.convertS : scalarCode.convertU) : type === 'bool' ? [code.i32Const, 0, i.ne] : []
    case 'bits':
      return type === 'f32' ? one(scalarCode.bitsToF32) : []
    case 'min': case 'max': case 'abs': case 'neg': case 'sqrt': case 'floor': case 'nearest': case 'fma': case 'select': case 'splat': case 'lanes':
      return refused(fn, from)
  }
}

const ones = [...simd(vectorCode.const), ...word(1), ...word(1), ...word(1), ...word(1)]
const fones = [...simd(vectorCode.const), ...float(1), ...float(1), ...float(1), ...float(1)]
const zeros = [...simd(vectorCode.const), ...new Array<number>(16).fill(0)]

const vectorApply = (fn: Fn, type: Scalar, from: Scalar, fma: boolean): readonly number[] => {
  const { i32: i, f32: f } = vectorCode
  const s = from === 'i32'
  switch (fn) {
    case 'and':
      return simd(vectorCode.and)
    case 'or':
      return simd(vectorCode.or)
    case 'xor':
      return simd(vectorCode.xor)
    case 'not':
      return simd(vectorCode.not)
    case 'bits':
      return []
    case 'eq': case 'ne':
      return simd(from === 'f32' ? f[fn] : i[fn])
    case 'lt': case 'le': case 'gt': case 'ge':
      return simd(from === 'f32' ? f[fn] : i[s ? (`${fn}S` as const) : (`${fn}U` as const)])
    case 'add': case 'sub': case 'mul':
      return simd(from === 'f32' ? f[fn] : i[fn])
    case 'min': case 'max':
      return simd(from === 'f32' ? f[fn] : i[s ? (`${fn}S` as const) : (`${fn}U` as const)])
    case 'abs': case 'neg':
      return simd(from === 'f32' ? f[fn] : i[fn])
    case 'div': case 'sqrt': case 'floor': case 'nearest':
      return from === 'f32' ? simd(f[fn]) : refused(fn, type)
    case 'shl':
      return simd(i.shl)
    case 'shr':
      return simd(s ? i.shrS : i.shrU)
    case 'fma':
      return fma ? simd(vectorCode.relaxedMadd) : refused(fn, type)
    case 'convert':
      if (from === 'f32') return type === 'i32' ? simd(i.truncS) : type === 'u32' ? simd(i.truncU) : type === 'bool' ? [...zeros, ...simd(f.ne)] : []
      if (from === 'bool') return type === 'f32' ? [...fones, ...simd(vectorCode.and)] : type === 'bool' ? [] : [...ones, ...simd(vectorCode.and)]
      return type === 'f32' ? simd(s ? f.convertS : f.convertU) : type === 'bool' ? [...zeros, ...simd(i.ne)] : []
    case 'rem': case 'select': case 'splat': case 'lanes':
      return refused(fn, type)
  }
}

/** The body of a function: locals and code, without its length. */
export const printNest = (nest: Nest, layout: Layout): number[] => {
  const order = (['i32', 'f32', 'v128'] as const).map(t => nest.locals.filter(l => wasmType(l.type) === t))
  const slots = new Map<number, number>([...nest.params, ...order.flat()].map((l, i) => [l.id, i]))
  const declared = order.map((group, i) => ({ group, type: (['i32', 'f32', 'v128'] as const)[i]! })).filter(({ group }) => group.length > 0)
  const out: number[] = [...unsigned(declared.length)]
  for (const { group, type } of declared) out.push(...unsigned(group.length), types[type])
  const emit = (...bytes: readonly number[]): void => {
    for (const byte of bytes) out.push(byte)
  }
  const get = (local: Local): void => emit(code.localGet, ...unsigned(slots.get(local.id)!))
  const set = (local: Local): void => emit(code.localSet, ...unsigned(slots.get(local.id)!))

  const place = (space: number, at: Value, offset: number): number => {
    value(at)
    const from = layout.base(space) + 4 * offset
    if (from >= 0) return from
    emit(code.i32Const, ...signed(from), scalarCode.i32.add)
    return 0
  }
  const constant = (type: Type, x: number): void => {
    const scalar = scalarOf(type)
    if (lanesOf(type) === 1) return scalar === 'f32' ? emit(code.f32Const, ...float(x)) : emit(code.i32Const, ...signed(x | 0))
    const bytes = scalar === 'f32' ? float(x) : word(scalar === 'bool' ? (x === 0 ? 0 : -1) : x | 0)
    emit(...simd(vectorCode.const), ...bytes, ...bytes, ...bytes, ...bytes)
  }
  const minMax = (fn: 'min' | 'max', type: Type, x: Value, y: Value): void => {
    value(x)
    value(y)
    value(x)
    value(y)
    emit(scalarCode.i32[type === 'i32' ? (fn === 'min' ? 'ltS' : 'gtS') : fn === 'min' ? 'ltU' : 'gtU'], code.select)
  }
  const lanes = (type: Type, args: readonly Value[]): void => {
    const scalar = scalarOf(type)
    if (args.every(a => a.kind === 'const')) {
      emit(...simd(vectorCode.const))
      for (const a of args) emit(...(scalar === 'f32' ? float(a.value) : word(scalar === 'bool' ? (a.value === 0 ? 0 : -1) : a.value | 0)))
      return
    }
    const shape = vectorCode[scalar === 'f32' ? 'f32' : 'i32']
    args.forEach((a, i) => {
      value(a)
      emit(...(i === 0 ? simd(shape.splat) : [...simd(shape.replace), i]))
    })
    if (scalar === 'bool') emit(...zeros, ...simd(vectorCode.i32.ne))
  }
  const call = (v: Extract<Value, { kind: 'apply' }>): void => {
    const { fn, type, args } = v
    const [x, y, z] = args
    const from = scalarOf((fn === 'select' ? y! : x!).type)
    if (fn === 'lanes') return lanes(type, args)
    if (fn === 'splat') {
      if (x!.kind === 'load' && from !== 'bool') {
        const at = place(x!.space, x!.at, x!.offset)
        return emit(...simd(vectorCode.loadSplat), 2, ...unsigned(at))
      }
      value(x!)
      emit(...simd(vectorCode[from === 'f32' ? 'f32' : 'i32'].splat))
      if (from === 'bool') emit(...zeros, ...simd(vectorCode.i32.ne))
      return
    }
    if (fn === 'select') {
      // the lesser or the greater of two by a plain comparison is one instruction: pmin(a, b) = b < a ? b : a, pmax(a, b) = a < b ? b : a
      if (type === 'f32x4' && x!.kind === 'apply' && x!.fn === 'lt') {
        const [p, q, b, a] = [...x!.args, y!, z!].map(v => valueKey(v))
        if ((p === b && q === a) || (p === a && q === b)) {
          value(z!)
          value(y!)
          return emit(...simd(vectorCode.f32[p === b ? 'pmin' : 'pmax']))
        }
      }
      value(y!)
      value(z!)
      value(x!)
      // a mask has whole lanes, so that the relaxed form, one instruction, selects the same
      return lanesOf(type) === 4 ? emit(...simd(layout.fma ? vectorCode.relaxedSelect : vectorCode.bitselect)) : emit(code.select)
    }
    if ((fn === 'min' || fn === 'max') && type === 'f32x4' && (x!.kind === 'const' || y!.kind === 'const')) {
      // against a constant the plain comparison is enough, and one instruction: NaN on the left stays (and so may -0 beside 0)
      const [varying, bound] = x!.kind === 'const' ? [y!, x!] : [x!, y!]
      if (bound.kind === 'const' && !Number.isNaN(bound.value)) {
        value(varying)
        value(bound)
        return emit(...simd(vectorCode.f32[fn === 'min' ? 'pmin' : 'pmax']))
      }
    }
    if (fn === 'fma' && (lanesOf(type) === 1 || !layout.fma)) {
      value(x!)
      value(y!)
      emit(...(lanesOf(type) === 1 ? scalarApply('mul', 'f32', 'f32') : vectorApply('mul', 'f32', 'f32', false)))
      value(z!)
      return emit(...(lanesOf(type) === 1 ? scalarApply('add', 'f32', 'f32') : vectorApply('add', 'f32', 'f32', false)))
    }
    if (lanesOf(type) === 1 && from !== 'f32') {
      if (fn === 'min' || fn === 'max') return minMax(fn, type, x!, y!)
      if (fn === 'abs') {
        value(x!)
        emit(code.i32Const, 0)
        value(x!)
        emit(scalarCode.i32.sub)
        value(x!)
        return emit(code.i32Const, 0, scalarCode.i32.geS, code.select)
      }
    }
    args.forEach(value)
    emit(...(lanesOf(x!.type) === 4 ? vectorApply(fn, scalarOf(type), from, layout.fma) : scalarApply(fn, scalarOf(type), from)))
  }
  const value = (v: Value): void => {
    switch (v.kind) {
      case 'const':
        return constant(v.type, v.value)
      case 'local':
        return get(v)
      case 'load': {
        const at = place(v.space, v.at, v.offset)
        if (lanesOf(v.type) === 1) return emit(v.type === 'f32' ? code.f32Load : code.i32Load, 2, ...unsigned(at))
        emit(...simd(vectorCode.load), 2, ...unsigned(at))
        if (v.type === 'boolx4') emit(...zeros, ...simd(vectorCode.i32.ne))
        return
      }
      case 'apply':
        return call(v)
      case 'named':
        throw new RangeError('WebAssembly computes functions in place')
      case 'lane':
        value(v.of)
        emit(...simd(vectorCode[v.type === 'f32' ? 'f32' : 'i32'].extract), v.lane)
        if (v.type === 'bool') emit(code.i32Const, 1, scalarCode.i32.and)
        return
      case 'shuffle':
        value(v.a)
        value(v.b)
        return emit(...simd(vectorCode.shuffle), ...v.lanes.flatMap(l => [4 * l, 4 * l + 1, 4 * l + 2, 4 * l + 3]))
    }
  }
  const stmt = (s: Stmt): void => {
    switch (s.kind) {
      case 'barrier':
        throw new RangeError('a barrier has no meaning within one thread')
      case 'join':
        throw new RangeError('WebAssembly has no subgroups whose threads could join what they have')
      case 'matrix':
        throw new RangeError('WebAssembly has no subgroups that could hold a matrix')
      case 'set':
        value(s.value)
        return set(s.local)
      case 'store': {
        const at = place(s.space, s.at, s.offset)
        value(s.value)
        if (s.value.type === 'boolx4') emit(...ones, ...simd(vectorCode.and))
        return emit(...(lanesOf(s.value.type) === 4 ? simd(vectorCode.store) : [s.value.type === 'f32' ? code.f32Store : code.i32Store]), 2, ...unsigned(at))
      }
      case 'if':
        value(s.condition)
        emit(code.if, code.empty)
        s.then.forEach(stmt)
        if (s.otherwise.length > 0) emit(code.else)
        s.otherwise.forEach(stmt)
        return emit(code.end)
      case 'for': {
        const sure = s.from.kind === 'const' && s.to.kind === 'const' && s.from.value < s.to.value
        value(s.from)
        set(s.counter)
        if (!sure) {
          get(s.counter)
          value(s.to)
          emit(scalarCode.i32.ltS, code.if, code.empty)
        }
        emit(code.loop, code.empty)
        s.body.forEach(stmt)
        get(s.counter)
        emit(code.i32Const, ...signed(s.step), scalarCode.i32.add, code.localTee, ...unsigned(slots.get(s.counter.id)!))
        value(s.to)
        emit(scalarCode.i32.ltS, code.brIf, 0, code.end)
        if (!sure) emit(code.end)
        return
      }
    }
  }
  nest.body.forEach(stmt)
  emit(code.end)
  return out
}
