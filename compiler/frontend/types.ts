/** Reading the checker's types: tensors of the language with their dims and element type. */
import { ts } from 'ts-morph'
import { Refusal } from '../../dsl/errors.ts'
import { sizeUnder } from '../../dsl/core/dims.ts'
import type { Aval, DType } from '../../dsl/core/prim.ts'
import type { Machine } from './machine.ts'

export const typeText = (m: Machine, t: ts.Type): string => {
  const text = m.checker.typeToString(t, undefined, ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.UseAliasDefinedOutsideCurrentScope)
  return text.length <= 120 ? text : `${text.slice(0, 117)}...`
}

const argumentsOf = (m: Machine, t: ts.Type): readonly ts.Type[] => {
  const flags = t.flags & ts.TypeFlags.Object ? (t as ts.ObjectType).objectFlags : 0 // an object type has object flags
  return flags & ts.ObjectFlags.Reference ? m.checker.getTypeArguments(t as ts.TypeReference) : [] // a reference has type arguments
}

/** The element types of a tuple. */
export const tupleOf = (m: Machine, t: ts.Type): readonly ts.Type[] | undefined => (m.checker.isTupleType(t) ? argumentsOf(m, t) : undefined)

const isTensorSymbol = (m: Machine, t: ts.Type): boolean =>
  t.symbol?.name === 'Tensor' && (t.symbol.declarations ?? []).some(d => m.language(d.getSourceFile().fileName) !== undefined)

const dtypes: readonly DType[] = ['f32', 'i32', 'u32', 'bool']

/** A tensor type as the IR has it; a problem where the type leaves something open; undefined where it is no tensor type. */
export const tensorOf = (m: Machine, t: ts.Type): Aval | { readonly problem: string; readonly remedy: string } | undefined => {
  if (!isTensorSymbol(m, t)) return undefined
  const [shape, element] = argumentsOf(m, t)
  const dims = shape === undefined ? undefined : tupleOf(m, shape)
  const open = (what: string, remedy: string) => ({ problem: `${typeText(m, t)}: ${what}`, remedy })
  if (dims === undefined) return open('its rank is open', 'write the shape as a tuple of dimensions, such as Tensor<[3, 64, 64]>')
  const sizes: number[] = []
  for (const d of dims) {
    if (d.isNumberLiteral()) sizes.push(d.value)
    else if (d.isStringLiteral()) {
      try {
        sizes.push(sizeUnder(m.config, d.value))
      } catch (error) {
        if (error instanceof Refusal && error.failure.kind === 'config') return { problem: error.failure.message, remedy: error.failure.remedy ?? '' }
        throw error
      }
    } else if (d.flags & ts.TypeFlags.TypeParameter) return open(`the dimension ${typeText(m, d)} is generic`, `fix it: give the function with its dimensions, such as program(f<12>, config), or write a name: '${typeText(m, d)}'`)
    else if (d.isUnion()) return open(`the dimension ${typeText(m, d)} may be one of several`, 'write one program for each')
    else return open(`the dimension ${typeText(m, d)} is not a literal`, "write a number or a name that the config binds, such as Vec<3> or Vec<'Z'>")
  }
  const dtype = element !== undefined && element.isStringLiteral() ? dtypes.find(x => x === element.value) : undefined
  return dtype === undefined ? open('its element type is open', "write f32, i32, u32 or bool") : { shape: sizes, dtype }
}

/** The properties of a record type with their types, or undefined where the type is no record of known names. */
export const recordOf = (m: Machine, t: ts.Type): readonly { readonly name: string; readonly optional: boolean; readonly type: ts.Type }[] | undefined => {
  const isRecord = (t.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection)) !== 0 && t.getCallSignatures().length === 0
  if (!isRecord || m.checker.getIndexInfosOfType(t).length > 0 || m.checker.isArrayType(t) || m.checker.isTupleType(t)) return undefined
  return t.getProperties().map(p => ({ name: p.name, optional: (p.flags & ts.SymbolFlags.Optional) !== 0, type: m.checker.getTypeOfSymbol(p) }))
}
