/**
 * Gathers as text, once for all that differ in names alone (text/key.ts): of one compile, all programs ask the same `Gathers`. What it gives
 * does not depend on what it was asked before.
 */
import { type Part, type Pieces, nestOf } from '../../schedule/gather/body.ts'
import type { Buffer, Kernel } from '../../schedule/kernel/kernel.ts'
import type { Nest } from '../../schedule/nest/nest.ts'
import { byName } from '../text/dialect.ts'
import { keyOf } from '../text/key.ts'
import { type Template, plain, templateOf } from './print.ts'

/** `plain` is the text without names, `identity`: it gives every element of its buffer what it has. */
export type Printed = { readonly template: Template; readonly plain: string; readonly identity: boolean }
/** Prints a gather; the inputs of its template are buffers. */
export type Gathers = (pieces: Pieces, buffers: readonly Buffer[]) => Printed

const isIdentity = ({ body, params }: Nest, buffer: number): boolean => {
  const [first, last] = body
  const given = first?.kind === 'set' ? first.value : undefined
  return body.length === 2 && last?.kind === 'store' && last.value.kind === 'local' && first?.kind === 'set' && last.value.id === first.local.id &&
    given?.kind === 'load' && given.space === buffer && given.offset === 0 && given.at === params[0]
}

const printed = (pieces: Pieces, dtypes: readonly Buffer['aval']['dtype'][]): Printed => {
  const { id, aval } = pieces.buffer
  const nest = nestOf(pieces, byName)
  const template = templateOf(nest, space => dtypes[space]!, aval.dtype)
  return { template, plain: plain(template), identity: isIdentity(nest, id) }
}

/** Gathers that remember what they have made. */
export const gathers = (): Gathers => {
  const known = new Map<string, Printed>()
  return (pieces, buffers) => {
    const { buffer, parts, counters, blank } = pieces
    const operands = new Map<number, number>()
    const keyed = parts.map(part => keyOf(part, counters, id => buffers[id]!, operands))
    const key = [`${blank} ${buffer.aval.shape.join()}`, ...keyed.map(k => k.key)].join('\n\n')
    const spaces = [...operands.keys()]
    const make = (): Printed => {
      const canonical = parts.map((part, i): Part => {
        const kernel: Kernel = keyed[i]!.canonical(part)
        return { ...kernel, reduction: kernel.reduction as Part['reduction'] } // other numbers leave the kind of a reduction
      })
      const own = { ...pieces, parts: canonical, counters: keyed[0]!.counters, buffer: { ...buffer, id: operands.get(buffer.id)! } }
      return printed(own, spaces.map(id => buffers[id]!.aval.dtype))
    }
    const made = known.get(key) ?? make()
    known.set(key, made)
    return { ...made, template: { ...made.template, inputs: made.template.inputs.map(n => spaces[n]!) } }
  }
}
