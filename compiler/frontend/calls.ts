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
    return reject(m, m.site ?? at, `${maxDepth} calls deep: the recursion does not end, or ends on a tensor`, 'recursion needs a static bound; use scan to repeat a step over time')
  }
  const site = m.site
  m.stack.push(at)
  if (!inLanguage(m, at)) m.site = at
  try {
    return f[kind] === 'native' ? f.call(m, args, at) : enter(m, f, args)
  } finally {
    m.stack.pop()
    m.site = site
  }
}

const enter = (m: Machine, f: Closure, args: readonly Value[]): Value => {
  const { node } = f
  const env: Env = scope(f.env)
  node.parameters.forEach((p, i) => {
    const given = args[i]
    if (ts.isIdentifier(p.name) && p.name.text === 'this') return
    const v = p.dotDotDotToken !== undefined ? args.slice(i) : given === undefined && p.initializer !== undefined ? evaluate(m, p.initializer, env) : given
    bind(m, p.name, v, env)
  })
  if (node.body === undefined) return reject(m, m.stack.at(-1) ?? node, `${node.name?.getText() ?? 'this function'} has no body`)
  return runBody(m, node.body, env)
}
