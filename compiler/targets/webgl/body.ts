/**
 * Prints the statements of a loop nest in gpu.js's language. gpu.js makes ints of loop counters and of variables that are counted
 * up, and numbers of all else: every integer has its place at the top, and is counted up there once.
 */
import { type Local, type Named, type Scalar, type Stmt, type Value, i32, scalarOf } from '../../schedule/nest/nest.ts'
import type { DType } from '../../../dsl/core/prim.ts'
import { type Block, type Place, placesOf } from '../text/scope.ts'
import { type Text, atom, initial, joined, within } from './text.ts'
import { isData, valuesIn } from './values.ts'

export type Context = {
  readonly array: (space: number) => { readonly name: string; readonly dtype: DType }
  /** A name that nothing else in the text has. */
  readonly name: (label: string) => string
  /** Names that stand already. */
  readonly known: ReadonlyMap<number, string>
  readonly need: (named: Named) => string
  /** Parameters that are computed first, where they are read: a local and its value as text. */
  readonly given: readonly (readonly [local: Local, text: string])[]
}

/** All statements of a body, those within others after them. */
const inside = (body: Block): readonly Stmt[] =>
  body.flatMap(s => [s, ...(s.kind === 'if' ? [...inside(s.then), ...inside(s.otherwise)] : s.kind === 'for' ? inside(s.body) : [])])

/** Locals of integers that may be large. */
const dataIn = (stmts: readonly Stmt[]): ReadonlySet<number> => {
  const found = new Set<number>()
  for (let before = -1; before < found.size;) {
    before = found.size
    for (const s of stmts) if (s.kind === 'set' && s.local.type === 'i32' && isData(s.value, id => found.has(id))) found.add(s.local.id)
  }
  return found
}

/** Words side by side, in lines that are not too long. */
const rows = (words: readonly string[], before: string, between: string): readonly string[] => {
  const lines: string[] = []
  for (const word of words) {
    const last = lines[lines.length - 1]
    if (last === undefined || last.length + word.length > 118) lines.push(before + word)
    else lines[lines.length - 1] = last + between + word
  }
  return lines
}

/** The lines of a body, or of a function that returns `result`; a store returns its value, and is the last statement of its path. */
export const printBody = (body: Block, params: readonly Local[], context: Context, result: Value | null = null): readonly string[] => {
  const places = placesOf(body, params, { position: () => 1, steady: () => true }, result)
  const all = inside(body)
  const data = dataIn(all)
  const names = new Map(context.known)
  const inlined = new Map<number, Value>()
  const declarations = new Map<Stmt, Local[]>()
  const ints: string[] = []
  let lines: string[] = []
  let indent = '  '
  const line = (text: string): void => {
    lines.push(indent + text)
  }
  const place = (local: Local): Place['kind'] => places.get(local.id)?.kind ?? 'top'
  const integer = (type: Scalar): boolean => type === 'i32' || type === 'u32'
  const nameOf = (local: Local): string => {
    const known = names.get(local.id)
    if (known !== undefined) return known
    const name = context.name(local.name)
    names.set(local.id, name)
    if (integer(scalarOf(local.type)) && place(local) !== 'counter') ints.push(name)
    return name
  }
  const named = (type: Scalar, label: string, text: Text): Text => {
    const name = context.name(label)
    if (integer(type)) ints.push(name)
    assign(type, name, text, type === 'bool' ? 'let ' : 'const ')
    return atom(name)
  }
  /** `declared`: nothing where the name stands already. */
  const assign = (type: Scalar, name: string, { text, typed }: Text, declared: '' | 'let ' | 'const '): void => {
    if (integer(type)) return line(`${name} = ${text}`)
    if (type !== 'bool' || typed === undefined) return line(`${declared}${name} = ${text}`)
    if (typed !== null) return line(`${declared}${name} = ${typed.text}`)
    if (declared !== '') line(`let ${name} = false`)
    line(`${name} = ${text}`)
  }
  const { value, operand } = valuesIn({ nameOf, instead: id => inlined.get(id), data: id => data.has(id), array: context.array, need: context.need, named })

  const returned = (v: Value): string => {
    switch (scalarOf(v.type)) {
      case 'f32':
        return value(v).text
      case 'bool':
        return v.kind === 'const' ? `${v.value === 0 ? 0 : 1}` : `${within(value(v), 0.5)} ? 1 : 0`
      case 'i32':
      case 'u32':
        return `half_word(${value(v).text}, this.thread.x)`
    }
  }
  const block = (stmts: Block): void => {
    const outer = indent
    indent = `${outer}  `
    stmts.forEach(stmt)
    indent = outer
  }
  /** The lines of a block, one level deep. */
  const printed = (stmts: Block): readonly string[] => {
    const outer = lines
    lines = []
    block(stmts)
    const made = lines
    lines = outer
    return made
  }
  const branch = (s: Extract<Stmt, { kind: 'if' }>): void => {
    line(`if (${value(s.condition).text}) {`)
    block(s.then)
    const otherwise = printed(s.otherwise)
    const visible = s.otherwise.filter(o => o.kind !== 'set' || !['dead', 'inline'].includes(place(o.local)))
    if (visible.length === 1 && visible[0]!.kind === 'if' && otherwise[0]!.startsWith(`${indent}  if (`)) {
      line(`} else ${otherwise[0]!.trimStart()}`)
      lines.push(...otherwise.slice(1).map(l => l.slice(2)))
      return
    }
    if (otherwise.length > 0) {
      line('} else {')
      lines.push(...otherwise)
    }
    line('}')
  }
  const loop = (s: Extract<Stmt, { kind: 'for' }>): void => {
    const { from, to, step } = s
    if (place(s.counter) === 'counter' && step === 1 && from.kind === 'const' && from.value >= 0) {
      const counter = nameOf(s.counter)
      line(`for (let ${counter} = ${from.value}; ${counter} < ${operand(to).text}; ${counter}++) {`)
      block(s.body)
      return line('}')
    }
    // gpu.js counts from literals in steps of 1
    const counter = names.get(s.counter.id) ?? context.name(s.counter.name)
    if (!names.has(s.counter.id)) ints.push(counter)
    names.set(s.counter.id, counter)
    const first = operand(from)
    const turn = context.name('turn')
    const span = joined('sub', operand(to), first).text
    const turns = from.kind === 'const' && to.kind === 'const' ? atom(`${Math.max(0, Math.ceil((to.value - from.value) / step))}`)
      : named('i32', 'turns', atom(step === 1 ? span : `int_div(${span} + ${step - 1}, ${step})`))
    // what it is made of may change in the loop
    const start = from.kind === 'const' ? first : named('i32', 'from', first)
    line(`for (let ${turn} = 0; ${turn} < ${turns.text}; ${turn}++) {`)
    const by = step === 1 ? atom(turn) : joined('mul', atom(turn), value(i32(step)))
    line(`  ${counter} = ${from.kind === 'const' && from.value === 0 ? by.text : joined('add', start, by).text}`)
    block(s.body)
    line('}')
  }
  const stmt = (s: Stmt): void => {
    for (const local of declarations.get(s) ?? []) line(`let ${nameOf(local)} = ${initial(scalarOf(local.type))}`)
    switch (s.kind) {
      case 'barrier':
      case 'join':
      case 'matrix':
        throw new RangeError('gpu.js has no workgroups')
      case 'store':
        return line(`return ${returned(s.value)}`)
      case 'if':
        return branch(s)
      case 'for':
        return loop(s)
      case 'set': {
        const kind = place(s.local)
        if (kind === 'dead') return
        if (kind === 'inline') {
          inlined.set(s.local.id, s.value)
          return
        }
        const first = kind === 'let' || (kind === 'var' && !names.has(s.local.id))
        const text = value(s.value)
        return assign(scalarOf(s.local.type), nameOf(s.local), text, first ? (kind === 'let' ? 'const ' : 'let ') : '')
      }
    }
  }

  const locals = new Map<number, Local>()
  for (const s of all) {
    if (s.kind === 'set') locals.set(s.local.id, s.local)
    if (s.kind === 'for') locals.set(s.counter.id, s.counter)
  }
  const uncounted = [...locals.values()].filter(local => !integer(scalarOf(local.type)))
  for (const local of uncounted) {
    const where = places.get(local.id)
    if (where?.kind === 'top') line(`let ${nameOf(local)} = ${initial(scalarOf(local.type))}`)
    if (where?.kind === 'before') declarations.set(where.stmt, [...(declarations.get(where.stmt) ?? []), local])
  }
  const before = lines.length
  body.forEach(stmt)
  if (result !== null) line(`return ${value(result).text}`)
  for (const [local, text] of context.given) {
    const name = names.get(local.id)
    if (name === undefined) continue
    const word = new RegExp(`\\b${name}\\b`, 'g')
    const uses = lines.reduce((n, l) => n + (l.match(word)?.length ?? 0), 0)
    if (uses * text.length > 30) lines.splice(before, 0, `  ${name} = ${text}`)
    else {
      lines = lines.map(l => l.replace(word, text))
      ints.splice(ints.indexOf(name), 1)
    }
  }
  return [...rows(ints.map(name => `${name} = 0`), '  let ', ', '), ...rows(ints.map(name => `${name}++`), '  ', '; '), ...lines]
}
