/** Which spaces of memory a nest reads and writes. */
import type { Nest, Stmt, Value } from './nest.ts'

export type Spaces = { readonly reads: ReadonlySet<number>; readonly writes: ReadonlySet<number> }

export const spacesOf = (nest: Nest): Spaces => {
  const [reads, writes] = [new Set<number>(), new Set<number>()]
  const value = (v: Value): void => {
    switch (v.kind) {
      case 'const':
      case 'local':
        return
      case 'load':
        reads.add(v.space)
        return value(v.at)
      case 'apply':
      case 'named':
        return v.args.forEach(value)
      case 'lane':
        return value(v.of)
      case 'shuffle':
        value(v.a)
        return value(v.b)
    }
  }
  const stmt = (s: Stmt): void => {
    switch (s.kind) {
      case 'barrier':
        return
      case 'set':
        return value(s.value)
      case 'store':
        writes.add(s.space)
        value(s.at)
        return value(s.value)
      case 'for':
        value(s.from)
        value(s.to)
        return s.body.forEach(stmt)
      case 'if':
        value(s.condition)
        s.then.forEach(stmt)
        return s.otherwise.forEach(stmt)
    }
  }
  nest.body.forEach(stmt)
  return { reads, writes }
}
