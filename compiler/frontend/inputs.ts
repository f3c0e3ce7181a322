/**
 * The inputs of a program, from the static type of its function: one parameter of the IR for every tensor in the
 * arguments, named by its path. Literal numbers and strings are static: they are known while the model is read.
 */
import { ts } from 'ts-morph'
import { reject, type Machine } from './machine.ts'
import { parameter, type Region } from './regions.ts'
import { recordOf, tensorOf, tupleOf, typeText } from './types.ts'
import { element, field, type Value } from './values.ts'

type Argument = { readonly name: string; readonly type: ts.Type }

const nameOf = (declaration: ts.Node | undefined, index: number): string => {
  if (declaration !== undefined && ts.isParameter(declaration) && ts.isIdentifier(declaration.name)) return declaration.name.text
  if (declaration !== undefined && ts.isNamedTupleMember(declaration)) return declaration.name.text
  return `arg${index}`
}

/** The arguments that a signature takes; a rest parameter of a tuple type stands for several. */
export const argumentsOf = (m: Machine, signature: ts.Signature, at: ts.Node): readonly Argument[] =>
  signature.parameters.flatMap((p, i) => {
    const type = m.checker.getTypeOfSymbolAtLocation(p, at)
    const declaration = p.valueDeclaration
    const rest = declaration !== undefined && ts.isParameter(declaration) && declaration.dotDotDotToken !== undefined
    if (!rest) {
      const optional = declaration !== undefined && ts.isParameter(declaration) && (declaration.questionToken !== undefined || declaration.initializer !== undefined)
      if (optional) return reject(m, at, `program: the input ${nameOf(declaration, i)} is optional`, 'inputs are all given: drop the ? or the default value, or wrap the function: program(x => f(x), config)')
      return [{ name: nameOf(declaration, i), type }]
    }
    const items = tupleOf(m, type)
    if (items === undefined) return reject(m, at, `program: the input ${p.name} takes any number of arguments`, 'write the arguments out, or take a tuple')
    // a tuple type carries the labels of its elements
    const labels = ((type as ts.TypeReference).target as ts.TupleType).labeledElementDeclarations ?? []
    return items.map((item, k) => ({ name: nameOf(labels[k], i + k), type: item }))
  })

/** Declares the parameters of the program in `root` and returns the arguments of its function. */
export const inputsOf = (m: Machine, signature: ts.Signature, root: Region, at: ts.Node): readonly Value[] => {
  if (signature.typeParameters !== undefined && signature.typeParameters.length > 0) {
    const names = signature.typeParameters.map(t => typeText(m, t)).join(', ')
    return reject(m, at, `program: the function is generic in ${names}`, `fix its dimensions: program(f<12>, config), or write it over names: Vec<'N'>`)
  }
  const all = argumentsOf(m, signature, at)
  const repeated = all.find((a, i) => all.findIndex(b => b.name === a.name) !== i)
  if (repeated !== undefined) return reject(m, at, `program: two inputs are named ${repeated.name}`, 'rename one: arrays are named by argument')
  return all.map(a => input(m, a.type, a.name, root, at))
}

const accepted = 'inputs are tensors, and records, tuples and fixed arrays of them'

const input = (m: Machine, t: ts.Type, path: string, root: Region, at: ts.Node): Value => {
  const stop = (message: string, remedy: string): never => reject(m, at, `program: the input ${path} is ${message}`, remedy)
  const aval = tensorOf(m, t)
  if (aval !== undefined) return 'problem' in aval ? reject(m, at, `program: the input ${path}: ${aval.problem}`, aval.remedy) : parameter(root, aval, path)
  if (t.isNumberLiteral() || t.isStringLiteral()) return t.value
  if (t.flags & ts.TypeFlags.BooleanLiteral) return typeText(m, t) === 'true'
  if (t.flags & ts.TypeFlags.Undefined) return undefined
  if (t.flags & ts.TypeFlags.Null) return null
  if (t.flags & ts.TypeFlags.Number) return stop('a plain number', 'numbers that vary are tensors: Scalar; numbers that do not are constants of the model, or literal types')
  if (t.flags & (ts.TypeFlags.String | ts.TypeFlags.BooleanLike)) return stop(typeText(m, t), 'text and choices are fixed while the model is read: make it a literal type or a constant of the model')
  if (t.flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown)) return stop(`${typeText(m, t)}: nothing is known of it`, 'annotate the parameter: (x: Vec<3>) => ...')
  if (t.flags & ts.TypeFlags.TypeParameter) return stop(`generic (${typeText(m, t)})`, 'give the function with its types fixed')
  if (t.isUnion()) return stop(`${typeText(m, t)}: it may be one of several`, 'write one program for each')
  if (t.getCallSignatures().length > 0) return stop('a function', `${accepted}; close over the function instead: program(x => f(g, x), config)`)
  if (t.flags & ts.TypeFlags.Object && m.checker.isArrayType(t)) return stop(`${typeText(m, t)}: its length is open`, 'write a tuple such as readonly [V, V], or stack the arrays into one tensor')
  const items = tupleOf(m, t)
  if (items !== undefined) {
    // an open tuple has a rest element
    if (((t as ts.TypeReference).target as ts.TupleType).elementFlags.some(flag => flag !== ts.ElementFlags.Required)) {
      return stop(`${typeText(m, t)}: its length is open`, 'write a tuple of fixed length')
    }
    return items.map((item, i) => input(m, item, element(path, i), root, at))
  }
  const properties = recordOf(m, t)
  if (properties === undefined) return stop(`${typeText(m, t)}: its names are open`, 'write a record with its names: { readonly a: V; readonly b: V }')
  const optional = properties.find(p => p.optional)
  if (optional !== undefined) return reject(m, at, `program: the input ${field(path, optional.name)} is optional`, 'inputs are all given: drop the ?, or write one program for each case')
  return Object.fromEntries(properties.map(p => [p.name, input(m, p.type, field(path, p.name), root, at)]))
}
