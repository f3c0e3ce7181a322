/**
 * Prints the statements of a loop nest as WGSL. Bools are bool in registers and u32 in memory. Expressions that every
 * operand is a constant of would be computed, and refused where they overflow, when the module is compiled: one operand
 * gets a name first, which makes them ordinary expressions.
 */
import { type Fn, type Joining, type Local, type Stmt, type Type, type Value, lanesOf, scalarOf } from '../../schedule/nest/nest.ts'
import { type Block, type Place, constant, placesOf } from '../text/scope.ts'
import type { Helper } from './functions.ts'
import { type Words, matrixLine } from './matrix.ts'
import { type Text, atom, letters, literal, mixing, signs, wgslType, within } from './text.ts'

/** Memory as text: the name of an array, what its elements are called, whether it has four of them in each, and a type to keep them in. */
export type Memory = { readonly name: string; readonly wide: boolean; readonly kept: 'bool' | 'tile_t' | 'f16' | null; readonly steady: boolean }

/** What joins the threads of a subgroup. */
const joins: { readonly [J in Joining]: string } = { sum: 'subgroupAdd', max: 'subgroupMax', min: 'subgroupMin' }

export type Context = {
  readonly memory: (space: number) => Memory
  /** A name that nothing else in the function has. */
  readonly name: (label: string) => string
  /** Names that stand already. */
  readonly known: ReadonlyMap<number, string>
  /** Asks for a function of the module. */
  readonly need: (helper: Helper) => string
  readonly barrier: readonly string[]
}

/** The lines of a body, and of `return` if there is a result; helpers that it calls are asked for as they come up. */
export const printBody = (body: Block, params: readonly Local[], context: Context, result: Value | null = null): readonly string[] => {
  const { memory, need } = context
  const repeats = { position: (space: number) => (memory(space).wide ? 1 : 4), steady: (space: number) => memory(space).steady }
  const places = placesOf(body, params, repeats, result)
  const names = new Map(context.known)
  const inlined = new Map<number, Value>()
  const declarations = new Map<Stmt, Local[]>()
  const lines: string[] = []
  let indent = '  '
  const line = (text: string): void => {
    lines.push(indent + text)
  }
  const place = (local: Local): Place['kind'] => places.get(local.id)?.kind ?? 'top'
  const nameOf = (local: Local): string => {
    const known = names.get(local.id)
    if (known !== undefined) return known
    const name = context.name(local.name)
    names.set(local.id, name)
    return name
  }
  /** A name for text that is needed several times. */
  const named = (label: string, text: string): Text => {
    const name = context.name(label)
    line(`let ${name} = ${text};`)
    return atom(name)
  }

  const args = (values: readonly Value[]): string => {
    const texts = values.map(value)
    // two comparisons side by side could be read as a list of types
    const loose = texts.filter(t => t.binds === 0).length > 1
    return texts.map(t => (loose && t.binds === 0 ? `(${t.text})` : t.text)).join(', ')
  }
  const built = (type: Type, ...values: readonly Value[]): Text => atom(`${wgslType(type)}(${args(values)})`)

  const converted = (type: Type, x: Value): Text => {
    const [to, from] = [scalarOf(type), scalarOf(x.type)]
    if (to === from) return value(x)
    // a comparison that NaN fails, not one that it passes: devices differ in those
    if (to === 'bool' && from === 'f32') return { text: `!(${within(value(x), 1)} == ${zero(x.type)})`, binds: 2 }
    if (to === 'bool') return { text: `${within(value(x), 1)} != ${zero(x.type)}`, binds: 0 }
    if (from === 'f32' && to !== 'f32') return atom(`${need({ convert: to, lanes: lanesOf(type) })}(${value(x).text})`)
    return built(type, x)
  }
  const zero = (type: Type): string => value({ kind: 'const', type, value: 0 }).text

  const bits = (type: Type, x: Value): Text => {
    const [to, from] = [scalarOf(type), scalarOf(x.type)]
    if (to === from) return value(x)
    if (lanesOf(type) === 1 && (to === 'bool' || from === 'bool')) return converted(type, x)
    // a vector of bools is a mask: all bits of a lane or none
    if (from === 'bool') {
      const ones = to === 'f32' ? `${need('nan')}()` : to === 'i32' ? '-1' : '0xffffffffu'
      return atom(`select(${zero(type)}, ${wgslType(type)}(${ones}), ${value(x).text})`)
    }
    if (to === 'bool') return { text: `${within(value(x), 1)} != ${zero(x.type)}`, binds: 0 }
    return atom(`bitcast<${wgslType(type)}>(${value(x).text})`)
  }

  const binary = (fn: Fn, x: Value, y: Value): Text => {
    const [sign, binds, left, right] = signs[fn]!
    const mix = (v: Value, other: Value): Text =>
      mixing.has(fn) && v.kind === 'const' && lanesOf(v.type) === 4 && other.kind !== 'const' ? value({ ...v, type: scalarOf(v.type) }) : value(v)
    return { text: `${within(mix(x, y), left)} ${sign} ${within(mix(y, x), right)}`, binds }
  }

  const extreme = (fn: 'min' | 'max', type: Type, x: Value, y: Value): Text => {
    const lanes = lanesOf(type)
    const number = (v: Value): boolean => v.kind === 'const' && !Number.isNaN(v.value)
    if (scalarOf(type) !== 'f32') return atom(`${fn}(${args([x, y])})`)
    if (number(y)) return atom(`${need({ bound: fn, lanes })}(${args([x, y])})`)
    return number(x) ? extreme(fn, type, y, x) : atom(`${need({ extreme: fn, lanes })}(${args([x, y])})`)
  }

  const call = (v: Extract<Value, { kind: 'apply' }>): Text => {
    const { fn, type } = v
    const [x, y, z] = v.args as readonly [Value, Value, Value]
    const of = scalarOf(x.type)
    switch (fn) {
      case 'lanes':
      case 'splat':
        return built(type, ...v.args)
      case 'select':
        return atom(`select(${args([z, y, x])})`)
      case 'fma':
        return atom(`fma(${args([x, y, z])})`)
      case 'min':
      case 'max':
        return extreme(fn, type, x, y)
      case 'abs':
      case 'sqrt':
      case 'floor':
        return atom(`${fn}(${value(x).text})`)
      case 'nearest':
        return atom(`round(${value(x).text})`)
      case 'neg': {
        const text = within(value(x), 3)
        return { text: text.startsWith('-') ? `-(${text})` : `-${text}`, binds: 2 }
      }
      case 'not':
        return { text: `!${within(value(x), 3)}`, binds: 2 }
      case 'convert':
        return converted(type, x)
      case 'bits':
        return bits(type, x)
      case 'shl':
      case 'shr': {
        const count = y.kind === 'const' ? `${y.value & 31}u` : `u32(${value(y).text})`
        return { text: `${within(value(x), 3)} ${fn === 'shl' ? '<<' : '>>'} ${lanesOf(type) === 4 ? `vec4<u32>(${count})` : count}`, binds: 0 }
      }
      case 'xor':
        return binary(of === 'bool' ? 'ne' : fn, x, y)
      case 'ne':
        return of === 'f32' ? { text: `!(${binary('eq', x, y).text})`, binds: 2 } : binary(fn, x, y)
      case 'lt': case 'le': case 'gt': case 'ge':
        if (of === 'bool') throw new RangeError('bools have no order')
        return binary(fn, x, y)
      case 'add': case 'sub': case 'mul': case 'div': case 'rem': case 'and': case 'or': case 'eq':
        return binary(fn, x, y)
    }
  }

  const position = (at: Text, offset: number): string =>
    offset === 0 ? at.text : at.text === '0' ? `${offset}` : `${within(at, 1)} ${offset < 0 ? '-' : '+'} ${Math.abs(offset)}`
  const element = (m: Memory, at: Text, offset: number): string => `${m.name}[${position(at, offset)}]`
  const load = (v: Extract<Value, { kind: 'load' }>): Text => {
    const m = memory(v.space)
    const four = lanesOf(v.type) === 4
    const at = value(v.at)
    const as = (text: string): Text => {
      if (m.kept === 'tile_t' || m.kept === 'f16') return atom(`${wgslType(v.type)}(${text})`)
      return m.kept === 'bool' ? { text: `${text} != ${four ? 'vec4<u32>(0u)' : '0u'}`, binds: 0 } : atom(text)
    }
    if (m.wide !== four && !four) throw new RangeError(`${m.name} is read in vectors only`)
    if (m.wide || !four) return as(element(m, at, v.offset))
    const base = at.binds === 3 ? at : named('at', at.text)
    const parts = [0, 1, 2, 3].map(i => element(m, base, v.offset + i))
    if (m.kept === 'bool') return as(`vec4<u32>(${parts.join(', ')})`)
    return atom(`${wgslType(v.type)}(${parts.map(p => (m.kept === 'tile_t' || m.kept === 'f16' ? `f32(${p})` : p)).join(', ')})`)
  }

  const value = (v: Value): Text => {
    switch (v.kind) {
      case 'const': {
        const text = literal(v.type, v.value, need)
        return atom(lanesOf(v.type) === 4 ? `${wgslType(v.type)}(${text})` : text)
      }
      case 'local': {
        const instead = inlined.get(v.id)
        return instead === undefined ? atom(nameOf(v)) : value(instead)
      }
      case 'load':
        return load(v)
      case 'apply': {
        const [x, ...rest] = v.args
        if (x === undefined || !constant(v) || v.fn === 'lanes' || v.fn === 'splat') return call(v)
        const opaque: Local = { kind: 'local', id: -1 - names.size, type: x.type, name: 'c' }
        names.set(opaque.id, named('c', value(x).text).text)
        return call({ ...v, args: [opaque, ...rest] })
      }
      case 'named':
        return atom(`${need({ named: v.name, lanes: lanesOf(v.type) })}(${args(v.args)})`)
      case 'lane':
        return atom(`${within(value(v.of), 3)}.${letters[v.lane]}`)
      case 'shuffle': {
        const [a, b] = [value(v.a), value(v.b)].map(t => (t.binds === 3 ? t : named('v', t.text))) as [Text, Text]
        if (a.text === b.text || v.lanes.every(l => l < 4)) return atom(`${a.text}.${v.lanes.map(l => letters[l % 4]).join('')}`)
        return atom(`${wgslType(v.type)}(${v.lanes.map(l => `${(l < 4 ? a : b).text}.${letters[l % 4]}`).join(', ')})`)
      }
    }
  }

  const store = (s: Extract<Stmt, { kind: 'store' }>): void => {
    const m = memory(s.space)
    const four = lanesOf(s.value.type) === 4
    const kept = (text: string, lanes: 1 | 4): string => {
      const type = m.kept === 'bool' ? 'u32' : m.kept
      return type === null ? text : `${lanes === 4 ? `vec4<${type}>` : type}(${text})`
    }
    if (m.wide && !four) throw new RangeError(`${m.name} is written in vectors only`)
    const at = value(s.at)
    const text = value(s.value)
    if (m.wide || !four) return line(`${element(m, at, s.offset)} = ${kept(text.text, four ? 4 : 1)};`)
    const base = at.binds === 3 ? at : named('at', at.text)
    if (s.value.kind === 'const') {
      const one = kept(value({ ...s.value, type: scalarOf(s.value.type) }).text, 1)
      return [0, 1, 2, 3].forEach(i => line(`${element(m, base, s.offset + i)} = ${one};`))
    }
    const source = s.value.kind === 'local' && text.binds === 3 ? text : named('v', text.text)
    for (const i of [0, 1, 2, 3]) line(`${element(m, base, s.offset + i)} = ${kept(`${source.text}.${letters[i]}`, 1)};`)
  }

  const matrices = new Map<number, string>()
  const matrixWords: Words = {
    name: ({ id, name }) => {
      const known = matrices.get(id) ?? context.name(name)
      matrices.set(id, known)
      return known
    },
    position: ({ at, offset }) => position(value(at), offset),
    memory: space => memory(space).name,
  }

  const block = (stmts: Block): void => {
    const outer = indent
    indent = `${outer}  `
    stmts.forEach(stmt)
    indent = outer
  }
  const branch = (s: Extract<Stmt, { kind: 'if' }>, lead: string): void => {
    line(`${lead}if (${value(s.condition).text}) {`)
    block(s.then)
    if (s.otherwise.length > 0) {
      line('} else {')
      block(s.otherwise)
    }
    line('}')
  }
  const stmt = (s: Stmt): void => {
    for (const local of declarations.get(s) ?? []) line(`var ${nameOf(local)}: ${wgslType(local.type)};`)
    switch (s.kind) {
      case 'barrier':
        return context.barrier.forEach(line)
      case 'matrix':
        return line(matrixLine(s.step, matrixWords))
      case 'join': {
        const first = place(s.local) === 'let' ? 'let ' : ''
        return line(`${first}${nameOf(s.local)} = ${joins[s.op]}(${value(s.value).text});`)
      }
      case 'store':
        return store(s)
      case 'if':
        return branch(s, '')
      case 'set': {
        const kind = place(s.local)
        if (kind === 'dead') return
        if (kind === 'inline') {
          inlined.set(s.local.id, s.value)
          return
        }
        const text = value(s.value).text
        const first = kind === 'let' || (kind === 'var' && !names.has(s.local.id))
        return line(`${first ? `${kind} ` : ''}${nameOf(s.local)} = ${text};`)
      }
      case 'for': {
        const from = value(s.from).text
        const counter = nameOf(s.counter)
        const start = `${place(s.counter) === 'counter' ? 'var ' : ''}${counter} = ${from}`
        line(`for (${start}; ${counter} < ${value(s.to).text}; ${counter} += ${s.step}) {`)
        block(s.body)
        return line('}')
      }
    }
  }

  const locals = new Map<number, Local>()
  const gather = (stmts: Block): void => {
    for (const s of stmts) {
      if (s.kind === 'set' || s.kind === 'join') locals.set(s.local.id, s.local)
      if (s.kind === 'if') [s.then, s.otherwise].forEach(gather)
      if (s.kind === 'for') {
        locals.set(s.counter.id, s.counter)
        gather(s.body)
      }
    }
  }
  gather(body)
  for (const [id, local] of locals) {
    const where = places.get(id)
    if (where?.kind === 'top') line(`var ${nameOf(local)}: ${wgslType(local.type)};`)
    if (where?.kind === 'before') declarations.set(where.stmt, [...(declarations.get(where.stmt) ?? []), local])
  }
  body.forEach(stmt)
  if (result !== null) line(`return ${value(result).text};`)
  return lines
}

