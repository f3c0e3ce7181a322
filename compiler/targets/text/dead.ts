/** Values that nothing needs are not printed. */
import type { Stmt, Value } from '../../schedule/nest/nest.ts'
import type { Block } from './scope.ts'

/** Calls `visit` with the locals that a value reads. */
export const localsIn = (v: Value, visit: (id: number) => void): void => {
  switch (v.kind) {
    case 'const':
      return
    case 'local':
      return visit(v.id)
    case 'load':
      return localsIn(v.at, visit)
    case 'apply':
    case 'named':
      return v.args.forEach(arg => localsIn(arg, visit))
    case 'lane':
      return localsIn(v.of, visit)
    case 'shuffle':
      localsIn(v.a, visit)
      return localsIn(v.b, visit)
  }
}

/** The same without sets of locals that no store, branch or loop needs. */
export const withoutDead = (body: Block): Block => {
  const values = new Map<number, Value[]>()
  const needed = new Set<number>()
  const open: number[] = []
  const need = (id: number): void => {
    if (needed.has(id)) return
    needed.add(id)
    open.push(id)
  }
  const gather = (stmts: Block): void => {
    for (const s of stmts) {
      switch (s.kind) {
        case 'barrier':
          break
        case 'matrix':
          if (s.step.op === 'load' || s.step.op === 'store') localsIn(s.step.at, need)
          break
        case 'set':
        case 'join':
          values.set(s.local.id, [...(values.get(s.local.id) ?? []), s.value])
          break
        case 'store':
          localsIn(s.at, need)
          localsIn(s.value, need)
          break
        case 'if':
          localsIn(s.condition, need)
          gather(s.then)
          gather(s.otherwise)
          break
        case 'for':
          localsIn(s.from, need)
          localsIn(s.to, need)
          gather(s.body)
      }
    }
  }
  gather(body)
  for (let id = open.pop(); id !== undefined; id = open.pop()) for (const value of values.get(id) ?? []) localsIn(value, need)
  const kept = (stmts: Block): Block =>
    stmts.flatMap((s): readonly Stmt[] => {
      if (s.kind === 'set' || s.kind === 'join') return needed.has(s.local.id) ? [s] : []
      if (s.kind === 'if') return [{ ...s, then: kept(s.then), otherwise: kept(s.otherwise) }]
      return s.kind === 'for' ? [{ ...s, body: kept(s.body) }] : [s]
    })
  return kept(body)
}
