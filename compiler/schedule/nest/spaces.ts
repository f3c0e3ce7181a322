/** Which spaces of memory a nest reads and writes. */
import { eachAccess } from './accesses.ts'
import type { Nest } from './nest.ts'

export type Spaces = { readonly reads: ReadonlySet<number>; readonly writes: ReadonlySet<number> }

export const spacesOf = (nest: Nest): Spaces => {
  const [reads, writes] = [new Set<number>(), new Set<number>()]
  eachAccess(nest.body, ({ kind, space }) => (kind === 'load' ? reads : writes).add(space))
  return { reads, writes }
}
