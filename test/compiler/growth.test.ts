/** Large functions: what they compile to grows with their size and no faster. Counts, not seconds. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { plan } from '../../compiler/fuse/plan.ts'
import { builder, type Builder } from '../../compiler/ir/build.ts'
import type { Func, Id } from '../../compiler/ir/ir.ts'
import { at, range } from '../../compiler/ir/view.ts'
import { planMemory } from '../../compiler/schedule/memory.ts'
import { emitWasm } from '../../compiler/targets/wasm/index.ts'
import { optimise } from '../../compiler/transform/passes.ts'
import { valueAndGrad } from '../../compiler/transform/vjp.ts'
import type { Aval } from '../../dsl/core/prim.ts'

const f = (...shape: readonly number[]): Aval => ({ shape, dtype: 'f32' })
const made = (make: (b: Builder) => readonly Id[]): Func => {
  const b = builder()
  return b.finish(make(b))
}
/** Kernels and bytes of code; the engine must accept the module. */
const compiled = (func: Func): { readonly kernels: number; readonly bytes: number } => {
  const p = plan(optimise(func))
  const { offsets, bytes } = planMemory(p)
  const module = emitWasm(p, offsets, bytes, { fma: false })
  assert.ok(WebAssembly.validate(module.bytes))
  return { kernels: p.steps.length, bytes: module.bytes.length }
}
const chain = (steps: number, shape: readonly number[], step: (b: Builder, x: Id, i: number) => Id): Func =>
  made(b => [range(steps).reduce((x, i) => step(b, x, i), b.param(f(...shape), 'x'))])

test('a perceptron of 100 layers with its gradient: four kernels a layer', () => {
  const mlp = made(b => {
    const layer = (x: Id, i: number): Id => {
      const [weight, bias] = [b.param(f(16, 16), `w${i}`), b.param(f(16), `b${i}`)]
      const product = b.op('contract', [x, weight], { sizes: { i: 8, j: 16, k: 16 }, a: ['i', 'k'], b: ['k', 'j'], out: ['i', 'j'] })
      return b.op('tanh', [b.op('add', [product, b.op('broadcast', [bias], { shape: [8, 16], axes: [1] })], {})], {})
    }
    return [b.op('sum', [range(100).reduce(layer, b.param(f(8, 16), 'x'))], { axes: [0, 1] })]
  })
  assert.ok(compiled(mlp).kernels <= 101)
  assert.ok(compiled(valueAndGrad(mlp, mlp.params.map((_, i) => i))).kernels <= 402)
})

test('values used twice, over and over: no expression grows exponentially', () => {
  const square = compiled(chain(200, [100], (b, x) => b.op('add', [b.op('mul', [x, x], {}), x], {})))
  assert.ok(square.kernels <= 25 && square.bytes < 20_000, JSON.stringify(square))
  const turned = compiled(chain(60, [10, 10], (b, x) => b.op('add', [x, b.op('transpose', [x], { perm: [1, 0] })], {})))
  assert.ok(turned.kernels <= 30 && turned.bytes < 20_000, JSON.stringify(turned))
})

test('reshapes that cut across each other: no index grows exponentially', () => {
  const shapes = [[14, 15], [21, 10], [6, 35], [30, 7], [10, 21], [35, 6]]
  const func = chain(30, [6, 35], (b, x, i) => b.op('transpose', [b.op('reshape', [x], { shape: at(shapes, i % 6) })], { perm: [1, 0] }))
  const { kernels, bytes } = compiled(func)
  assert.ok(kernels <= 6 && bytes < 20_000, `${kernels} kernels, ${bytes} bytes`)
})

test('a stack of many: few checks an element, and no kernel that an engine would refuse', () => {
  const stacked = (n: number): Func => made(b => [b.op('concat', range(n).map(i => b.op('reshape', [b.param(f(32), `x${i}`)], { shape: [1, 32] })), { axis: 0 })])
  const wide = compiled(stacked(64))
  assert.ok(wide.kernels === 1 && wide.bytes < 60_000, JSON.stringify(wide))
  assert.ok(compiled(stacked(1000)).kernels <= 5)
})

test('many readers and many operands: kernels are shared', () => {
  const fill = (b: Builder, value: number): Id => b.op('fill', [], { ...f(64), value })
  const out = made(b => {
    const x = b.op('exp', [b.param(f(64), 'x')], {})
    return range(200).map(i => b.op('mul', [x, fill(b, i + 2)], {}))
  })
  assert.ok(compiled(out).kernels <= 26)
  const sum = made(b => [range(200).map(i => b.op('exp', [b.param(f(64), `x${i}`)], {})).reduce((x, y) => b.op('add', [x, y], {}))])
  assert.ok(compiled(sum).kernels <= 20)
})

test.run()
