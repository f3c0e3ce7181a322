/** The accesses to memory of a nest. */
import type { Stmt, Type, Value } from './nest.ts'

/** A load of that type, or a store of a value of it. */
export type Access = { readonly kind: 'load' | 'store'; readonly space: number; readonly type: Type }

/** Calls `see` with every access, in the order of the text; a store comes after the loads of its position and value. */
export const eachAccess = (body: readonly Stmt[], see: (access: Access) => void): void => {
  const value = (v: Value): void => {
    switch (v.kind) {
      case 'const':
      case 'local':
        return
      case 'load':
        see(v)
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
      case 'matrix':
        if (s.step.op !== 'load' && s.step.op !== 'store') return
        value(s.step.at)
        return see({ kind: s.step.op, space: s.step.space, type: 'f32' })
      case 'set':
      case 'join':
        return value(s.value)
      case 'store':
        value(s.at)
        value(s.value)
        return see({ kind: 'store', space: s.space, type: s.value.type })
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
  body.forEach(stmt)
}
