/** A recurrent loss, for tests of what the transformations make of it: h' = tanh(W h + U x + b), loss = sum of (h' - y)^2 over steps. */
import { builder } from '../../../compiler/ir/build.ts'
import type { Func, Id } from '../../../compiler/ir/ir.ts'
import type { Aval, Prim } from '../../../dsl/core/prim.ts'

export const recurrentLoss = (steps: number, hidden: number, features: number): Func => {
  const f = (...shape: readonly number[]): Aval => ({ shape, dtype: 'f32' })
  const body = builder()
  const w = body.param(f(hidden, hidden), 'w')
  const u = body.param(f(hidden, features), 'u')
  const bias = body.param(f(hidden), 'b')
  const h = body.param(f(hidden), 'h')
  const x = body.param(f(features), 'x')
  const y = body.param(f(hidden), 'y')
  const two = (prim: 'add' | 'sub' | 'mul', a: Id, c: Id): Id => body.op<Prim>(prim, [a, c], {})
  const matvec = (m: Id, v: Id, o: number, i: number): Id => body.op('contract', [m, v], { sizes: { o, i }, a: ['o', 'i'], b: ['i'], out: ['o'] })
  const next = body.op('tanh', [two('add', two('add', matvec(w, h, hidden, hidden), matvec(u, x, hidden, features)), bias)], {})
  const error = two('sub', next, y)
  const loss = body.op('sum', [two('mul', error, error)], { axes: [0] })

  const b = builder()
  const params = [b.param(f(hidden, hidden), 'w'), b.param(f(hidden, features), 'u'), b.param(f(hidden), 'b')]
  const start = b.op('fill', [], { ...f(hidden), value: 0 })
  const xs = [b.param(f(steps, features), 'xs'), b.param(f(steps, hidden), 'ys')]
  const [, losses] = b.scan({ length: steps, reverse: false, consts: params, init: [start], xs, body: body.finish([next, loss]) })
  return b.finish([b.op('sum', [losses ?? start], { axes: [0] })])
}
