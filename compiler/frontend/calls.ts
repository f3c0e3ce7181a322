/** Calls: binding arguments, the stack of calls, and the bound on recursion. */
import { ts } from 'ts-morph'
import { inLanguage, reject, type Machine } from './machine.ts'
import { evaluate } from './evaluate.ts'
import { bind, runBody } from './statements.ts'
import { kind, scope, type Callable, type Closure, type Env, type Value } from './values.ts'

/** Calls within calls. Deeper is taken for a recursion that does not end. */
const maxDepth = 250

/** Calls a function from `at`, the place in the source that calls it. */
export const call = (m: Machine, f: Callable, args: readonly Value[], at: ts.Node): Value => {
  if (m.stack.length >= maxDepth) {
    const remedy = 'recursion needs a static bound; use scan to repeat a step over time'
    return reject(m, m.site ?? at, `${maxDepth} calls deep: the recursion does not end, or ends on a tensor`, remedy)
  }
  const site = m.site
  m.stack.push(at)
  if (!inLanguage(m, at)) m.site = at
  try {
    return f[kind] === 'native' ? f.call(m, args, at) : enter(m, f, args)
  } catch (error) {
    // what JavaScript itself refuses of a method's arguments: an index or a length out of range
    if (f[kind] === 'native' && error instanceof RangeError && !error.message.includes('call stack')) return reject(m, at, `${f.name}: ${error.message}`)
    throw error
  } finally {
    m.stack.pop()
    m.site = site
  }
}

const enter = (m: Machine, f: Closure, args: readonly Value[]): Value => {
  const { node } = f
  const env: Env = scope(f.env)
  const own = node.parameters.filter(p => !(ts.isIdentifier(p.name) && p.name.text === 'this')) // a type, not an argument
  own.forEach((p, i) => {
    const given = args[i]
    const v = p.dotDotDotToken !== undefined ? args.slice(i) : given === undefined && p.initializer !== undefined ? evaluate(m, p.initializer, env) : given
    bind(m, p.name, v, env)
  })
  if (node.body === undefined) return reject(m, m.stack.at(-1) ?? node, `${node.name?.getText() ?? 'this function'} has no body`)
  return runBody(m, node.body, env)
}
