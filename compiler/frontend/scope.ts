/**
 * Looking names up: local variables, then the module, then the pure globals. Module constants are evaluated when they are
 * first read, once for all programs - except those that depend on the program (they hold tensors, or read dims of its
 * config), which are evaluated once for each program, in its outermost function.
 */
import { ts } from 'ts-morph'
import { globals } from './globals.ts'
import { reject, type Machine } from './machine.ts'
import { impure, refuseImpure } from './refusals.ts'
import { isCell, type Cell, type Env, type Value } from './values.ts'

/** The value of a name. */
export const lookup = (m: Machine, env: Env, name: string, at: ts.Node): Value => {
  for (let e: Env | undefined = env; e !== undefined; e = e.up) {
    const found = e.vars.get(name)
    if (found !== undefined || e.vars.has(name)) return isCell(found) ? force(m, found, name, at) : found
  }
  const global = globals.get(name)
  if (global !== undefined || globals.has(name)) return global
  if (impure.has(name)) return refuseImpure(m, name, at)
  return reject(m, at, `${name} is not known here`, declaredLater(env, name) ?? 'names come from const, function, import and the pure globals (Math, Object, Array, Number, String)')
}

const declaredLater = (env: Env, name: string): string | undefined =>
  new RegExp(`\\bconst ${name.replaceAll('$', '\\$')}(?![\\w$])`).test(env.file.text) ? `${name} is read before the line that defines it, or lies in another function` : undefined

/** The value of a module's binding. */
export const force = (m: Machine, cell: Cell, name: string, at: ts.Node): Value => {
  if (typeof cell.state === 'object') return cell.state.value
  if (m.cells.has(cell)) {
    m.touched += 1
    return m.cells.get(cell)
  }
  if (cell.state === 'running') return reject(m, at, `${name} is defined in terms of itself`, 'only functions may refer to themselves')
  const { region, touched } = m
  const names = m.names.splice(0)
  cell.state = 'running'
  m.region = m.root
  try {
    const value = cell.evaluate(m)
    if (m.touched === touched) cell.state = { value }
    else {
      cell.state = 'idle'
      m.cells.set(cell, value)
    }
    return value
  } finally {
    if (cell.state === 'running') cell.state = 'idle'
    m.region = region
    m.names.push(...names)
  }
}
