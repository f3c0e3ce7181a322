/**
 * The values of symbolic evaluation: what the pure subset of TypeScript computes while a model is read. Numbers, strings,
 * records and arrays are themselves; a tensor is a value of the IR function under construction; a function is a closure
 * over source text, or native. A private symbol marks the values that are not plain data, so that no property of a
 * user's record can be mistaken for the mark.
 */
import { ts } from 'ts-morph'
import type { Aval } from '../../dsl/core/prim.ts'
import type { Id } from '../ir/ir.ts'
import type { Machine } from './machine.ts'
import type { Region } from './regions.ts'

export const kind: unique symbol = Symbol('kind')

/** A tensor: a value of the function that `region` builds. */
export type Sym = { readonly [kind]: 'tensor'; readonly region: Region; readonly id: Id; readonly aval: Aval }
/** A function of the source with the variables around it. */
export type Closure = { readonly [kind]: 'closure'; readonly node: FunctionNode; readonly env: Env }
/** A function that the front end itself performs. */
export type Native = { readonly [kind]: 'native'; readonly name: string; readonly call: (m: Machine, args: readonly Value[], at: ts.Node) => Value; readonly member?: Member }
/** Reads a member by name. */
export type Member = (m: Machine, name: string, at: ts.Node) => Value
/** The value of `import * as name`, or a namespace of the language such as Math: members are looked up when read. */
export type Namespace = { readonly [kind]: 'namespace'; readonly name: string; readonly member: Member }
export type Callable = Closure | Native
export type FunctionNode = ts.ArrowFunction | ts.FunctionExpression | ts.FunctionDeclaration | ts.MethodDeclaration
export type Rec = { readonly [name: string]: Value }
export type List = readonly Value[]
export type Static = number | string | boolean | null | undefined
export type Value = Static | Sym | Callable | Namespace | List | Rec

/** A binding that is evaluated when it is first read. */
export type Cell = { readonly [kind]: 'cell'; readonly evaluate: (m: Machine) => Value; state: 'idle' | 'running' | { readonly value: Value } }
/** Variables by name, innermost first. */
export type Env = { readonly vars: Map<string, Value | Cell>; readonly up: Env | undefined; readonly file: ts.SourceFile }

const marked = (v: unknown): string | undefined =>
  // the one border where an object of unknown type is asked for its mark
  typeof v === 'object' && v !== null ? (v as { readonly [kind]?: string })[kind] : undefined

export const isTensor = (v: Value): v is Sym => marked(v) === 'tensor'
export const isCallable = (v: Value): v is Callable => marked(v) === 'closure' || marked(v) === 'native'
export const isNamespace = (v: Value): v is Namespace => marked(v) === 'namespace'
export const isCell = (v: Value | Cell): v is Cell => marked(v) === 'cell'
export const isList = (v: Value): v is List => Array.isArray(v)
export const isRec = (v: Value): v is Rec => typeof v === 'object' && v !== null && !Array.isArray(v) && marked(v) === undefined

export const native = (name: string, call: Native['call']): Native => ({ [kind]: 'native', name, call })
export const cell = (evaluate: Cell['evaluate']): Cell => ({ [kind]: 'cell', evaluate, state: 'idle' })
export const scope = (up: Env): Env => ({ vars: new Map(), up, file: up.file })

/** `a.b`, `b` at the top. */
export const field = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`)
export const element = (path: string, index: number): string => `${path}[${index}]`

/** Replaces every tensor of a tree; what is not a tensor stays. Paths read like `encoder.conv[2].weight`. */
export const mapTensors = (v: Value, f: (x: Sym, path: string) => Value, path = ''): Value => {
  if (isTensor(v)) return f(v, path)
  if (isList(v)) return v.map((x, i) => mapTensors(x, f, element(path, i)))
  if (isRec(v)) return Object.fromEntries(Object.entries(v).map(([name, x]) => [name, mapTensors(x, f, field(path, name))]))
  return v
}

export type Leaf = { readonly path: string; readonly value: Exclude<Value, List | Rec> }

/** Every leaf of a tree in order, tensors and others. */
export const leavesOf = (v: Value, path = ''): readonly Leaf[] => {
  if (isList(v)) return v.flatMap((x, i) => leavesOf(x, element(path, i)))
  if (isRec(v)) return Object.entries(v).flatMap(([name, x]) => leavesOf(x, field(path, name)))
  return [{ path, value: v }]
}

/** The tensors of a tree in order. */
export const tensorsOf = (v: Value): readonly Sym[] => leavesOf(v).flatMap(leaf => (isTensor(leaf.value) ? [leaf.value] : []))

/** What a value is, in the words of an error message. */
export const describe = (v: Value): string => {
  if (isTensor(v)) return `a tensor ${v.aval.dtype}[${v.aval.shape.join(', ')}]`
  if (isCallable(v)) return 'a function'
  if (isNamespace(v)) return `the namespace ${v.name}`
  if (isList(v)) return `an array of ${v.length}`
  if (isRec(v)) return `a record {${Object.keys(v).slice(0, 4).join(', ')}${Object.keys(v).length > 4 ? ', ...' : ''}}`
  return typeof v === 'string' ? JSON.stringify(v) : typeof v === 'number' || typeof v === 'boolean' ? `the ${typeof v} ${v}` : String(v)
}

/** `f32[3, 64]` */
export const showAval = (a: Aval): string => `${a.dtype}[${a.shape.join(', ')}]`
