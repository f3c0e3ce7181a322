/** What the passes on scans make of small loops. */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Builder, builder, define } from '../../../compiler/ir/build.ts'
import type { Func, Id, Scan } from '../../../compiler/ir/ir.ts'
import { interpret } from '../../../compiler/ir/interpret.ts'
import { printFunc } from '../../../compiler/ir/print.ts'
import { at, count, sizeOfFunc } from '../../../compiler/ir/view.ts'
import { batch } from '../../../compiler/transform/batch.ts'
import { optimise } from '../../../compiler/transform/passes.ts'
import { valueAndGrad } from '../../../compiler/transform/vjp.ts'
import type { Aval, Prim } from '../../../dsl/core/prim.ts'
import { difference, randomArgs } from '../arbitrary.ts'
import { recurrentLoss } from './recurrent.ts'

const f = (...shape: readonly number[]): Aval => ({ shape, dtype: 'f32' })

type Body = (b: Builder, consts: readonly Id[], carries: readonly Id[], slices: readonly Id[]) => readonly Id[]

/** A function of [...consts, ...init, ...xs] that is one scan; results as its ids, those in `drop` left out. */
const loop = (length: number, consts: readonly Aval[], carries: readonly Aval[], slices: readonly Aval[], step: Body, drop: readonly number[] = []): Func => {
  const inner = builder()
  const enter = (avals: readonly Aval[]): readonly Id[] => avals.map(aval => inner.param(aval))
  const [c, s, x] = [enter(consts), enter(carries), enter(slices)]
  const body = inner.finish(step(inner, c, s, x))
  const params = [...consts, ...carries, ...slices.map(a => ({ ...a, shape: [length, ...a.shape] }))]
  return define(params.map((aval, i) => ({ aval, path: `p${i}` })), (b, ids) => {
    const results = b.scan({
      length,
      reverse: false,
      consts: ids.slice(0, consts.length),
      init: ids.slice(consts.length, consts.length + carries.length),
      xs: ids.slice(consts.length + carries.length),
      body,
    })
    return results.filter((_, i) => !drop.includes(i))
  })
}

/** The optimised function, checked to mean the same. */
const optimised = (func: Func, tolerance = 1e-12): Func => {
  const made = optimise(func)
  const args = randomArgs(func, 3)
  // orders of summation differ
  assert.ok(difference(interpret(func, args), interpret(made, args)) < tolerance, printFunc(made))
  return made
}

const scansOf = (func: Func): readonly Scan[] => func.insts.flatMap(inst => (inst.kind === 'scan' ? [inst, ...scansOf(inst.body)] : []))
const primsOf = (func: Func): readonly string[] => func.insts.map(inst => (inst.kind === 'op' ? inst.prim : 'scan'))
const two = (b: Builder, prim: 'add' | 'mul' | 'sub', x: Id | undefined, y: Id | undefined): Id => b.op<Prim>(prim, [x ?? -1, y ?? -1], {})
const one = (b: Builder, prim: 'tanh' | 'exp' | 'sin' | 'neg', x: Id | undefined): Id => b.op<Prim>(prim, [x ?? -1], {})

test('one step is no loop', () => {
  const func = loop(1, [], [f(3)], [f(3)], (b, _, [h], [x]) => [two(b, 'add', h, x), one(b, 'exp', x)])
  assert.equal(scansOf(optimised(func)), [])
})

test('a carry that nothing changes is a constant, and what depends on constants alone is done once', () => {
  const func = loop(4, [f(3)], [f(3), f(3)], [], (b, [c], [h, fixed]) => [one(b, 'tanh', two(b, 'add', h, one(b, 'exp', two(b, 'mul', c, fixed)))), fixed ?? 0])
  const made = optimised(func)
  assert.equal(primsOf(made), ['mul', 'exp', 'scan'])
  const scan = at(scansOf(made), 0)
  assert.equal([scan.consts.length, scan.init.length, primsOf(scan.body)], [1, 1, ['add', 'tanh']])
})

test('dead carries, ys, constants and sequences go', () => {
  const func = loop(
    4,
    [f(3), f(3)],
    [f(3), f(3)],
    [f(3), f(3)],
    (b, [c, unused], [h, dead], [x, alsoDead]) => [one(b, 'tanh', two(b, 'add', two(b, 'mul', h, c), x)), two(b, 'add', two(b, 'mul', dead, unused), alsoDead), one(b, 'exp', dead)],
    [1, 2],
  )
  const scan = at(scansOf(optimised(func)), 0)
  assert.equal([scan.consts.length, scan.init.length, scan.xs.length, scan.ids.length], [1, 1, 1, 1])
})

test('a loop without recurrence is no loop', () => {
  const func = loop(4, [f(3)], [], [f(3)], (b, [c], _, [x]) => [one(b, 'exp', two(b, 'mul', c, x)), b.op('sum', [x ?? -1], { axes: [0] })])
  assert.equal(scansOf(optimised(func)), [])
})

test('a sum over steps is a sum', () => {
  const func = loop(4, [], [f(3)], [f(3)], (b, _, [total], [x]) => [two(b, 'add', total, x)])
  assert.equal(primsOf(optimised(func)), ['sum', 'add'])
})

test('a sum of products over steps is one product', () => {
  const func = loop(4, [], [f(2, 3)], [f(2), f(3)], (b, _, [total], [x, y]) => [
    two(b, 'add', b.op('contract', [x ?? -1, y ?? -1], { sizes: { i: 2, j: 3 }, a: ['i'], b: ['j'], out: ['i', 'j'] }), total),
  ])
  const made = optimised(func)
  assert.equal(primsOf(made), ['contract', 'add'])
  assert.match(printFunc(made), /\((t0|n) i\), \((t0|n) j\) -> \(i j\)/)
})

test('a sum of what is moved about on its way: summed first, moved once', () => {
  const outer = (b: Builder, x: Id | undefined, y: Id | undefined): Id =>
    b.op('contract', [x ?? -1, y ?? -1], { sizes: { i: 2, j: 3 }, a: ['i'], b: ['j'], out: ['i', 'j'] })
  const moved: Readonly<Record<string, { readonly carry: Aval; readonly by: (b: Builder, xy: Id, uv: Id) => Id }>> = {
    reshape: { carry: f(1, 6), by: (b, xy) => b.op('reshape', [xy], { shape: [1, 6] }) },
    transpose: { carry: f(3, 2), by: (b, xy) => b.op('transpose', [xy], { perm: [1, 0] }) },
    neg: { carry: f(2, 3), by: (b, xy) => one(b, 'neg', xy) },
    pad: { carry: f(4, 3), by: (b, xy) => b.op('pad', [xy], { low: [1, 0], high: [1, 0], interior: [0, 0], value: 0 }) },
    concat: { carry: f(4, 3), by: (b, xy, uv) => b.op('concat', [xy, two(b, 'add', uv, b.op('fill', [], { ...f(2, 3), value: 0.5 }))], { axis: 0 }) },
    again: { carry: f(1, 3, 4), by: (b, xy, uv) => b.op('reshape', [b.op('transpose', [b.op('concat', [xy, uv], { axis: 0 })], { perm: [1, 0] })], { shape: [1, 3, 4] }) },
  }
  for (const [name, { carry, by }] of Object.entries(moved)) {
    const func = loop(4, [], [carry], [f(2), f(3), f(2), f(3)], (b, _, [total], [x, y, u, v]) => [two(b, 'add', total, by(b, outer(b, x, y), outer(b, u, v)))])
    assert.is(scansOf(optimised(func)).length, 0, `${name}: ${printFunc(optimise(func))}`)
  }
  // read by another as well, the product stays
  const read = loop(4, [], [f(2, 3), f(3, 2)], [f(2), f(3)], (b, _, [h, total], [x, y]) => {
    const xy = outer(b, x, y)
    return [one(b, 'tanh', two(b, 'add', h, xy)), two(b, 'add', total, b.op('transpose', [xy], { perm: [1, 0] }))]
  })
  assert.is(scansOf(optimised(read)).length, 1)
})

test('random sums over steps mean what they say', () => {
  type Steer = readonly [number, number, number]
  /** What a step adds up, grown from numbers: products, slices and constants, moved about and put together. */
  const term = (b: Builder, leaves: readonly Id[], steers: readonly Steer[]): Id => {
    const values = [...leaves]
    for (const [kind, n, m] of steers) {
      const [x, y] = [at(values, values.length - 1 - (n % Math.min(values.length, 2))), at(values, m % values.length)]
      const { shape } = b.aval(x)
      const like = values.find(id => id !== x && b.aval(id).shape.join() === shape.join())
      const none = shape.map(() => 0)
      const grown = [
        () => b.op('reshape', [x], { shape: n % 2 === 0 ? [1, ...shape] : shape.toReversed() }),
        () => b.op('transpose', [x], { perm: shape.map((_, i) => (i + 1) % shape.length) }),
        () => b.op('flip', [x], { axes: [m % shape.length] }),
        () => b.op(n % 2 === 0 ? 'neg' : 'tanh', [x], {}),
        () => b.op('pad', [x], { low: none.with(m % shape.length, 1), high: none.with(0, m % 2), interior: none, value: n % 3 === 0 ? 0.5 : 0 }),
        () => b.op('concat', [x, like ?? b.op('fill', [], { ...f(...shape), value: n % 2 })], { axis: m % shape.length }),
        () => b.op(n % 2 === 0 ? 'add' : 'sub', [x, like ?? x], {}),
        () => b.op('sum', [y], { axes: [n % b.aval(y).shape.length] }),
        () => b.op('mul', [x, like ?? x], {}),
      ]
      const made = at(grown, kind % grown.length)()
      if (b.aval(made).shape.length > 0 && count(b.aval(made).shape) < 200) values.push(made)
    }
    return at(values, values.length - 1)
  }
  const steer = fc.tuple(fc.nat(99), fc.nat(99), fc.nat(99))
  fc.assert(fc.property(fc.array(steer, { maxLength: 6 }), fc.array(steer, { maxLength: 6 }), fc.nat(99), (first, second, kind) => {
    const leaves = (b: Builder, c: Id, x: Id, y: Id): readonly Id[] => [c, x, b.op('contract', [x, y], { sizes: { i: 2, j: 3 }, a: ['i'], b: ['j'], out: ['i', 'j'] }), b.op('fill', [], { ...f(2, 3), value: 0.25 })]
    const shapes = [first, second].map(steers => {
      const b = builder()
      return b.aval(term(b, [...leaves(b, b.param(f(2, 3)), b.param(f(2)), b.param(f(3))), b.param(f(2, 3))], steers))
    })
    // a recurrence, whose product both sums read, and the two sums
    const func = loop(3, [f(2, 3)], [f(2, 3), ...shapes], [f(2), f(3)], (b, [c], [h, p, q], [x, y]) => {
      const own = leaves(b, c ?? -1, x ?? -1, y ?? -1)
      const [t, u] = [term(b, [...own, h ?? -1], first), term(b, [...own, c ?? -1], second)]
      const by = kind % 3 === 0 ? 'sub' : 'add'
      return [one(b, 'tanh', two(b, 'add', h, own[2])), two(b, by, p, t), kind % 2 === 0 ? two(b, 'add', u, q) : two(b, 'add', q, u)]
    })
    optimised(func, 1e-6) // constants are folded in single precision
  }), { numRuns: 100, seed: 3 })
})

test('a sum of products with what an inner loop made is one product', () => {
  const layers = builder()
  const [weight, below] = [layers.param(f(3)), layers.param(f(3))]
  const above = one(layers, 'tanh', two(layers, 'mul', weight, below))
  const inner = layers.finish([above, above])
  const func = loop(4, [f(2, 3)], [f(3), f(2, 3, 5)], [f(5)], (b, [weights], [h, total], [x]) => {
    const [top, stack] = b.scan({ length: 2, reverse: false, consts: [], init: [h ?? -1], xs: [weights ?? -1], body: inner })
    const product = b.op('contract', [stack ?? -1, x ?? -1], { sizes: { l: 2, i: 3, j: 5 }, a: ['l', 'i'], b: ['j'], out: ['l', 'i', 'j'] })
    return [top ?? -1, two(b, 'add', total, product)]
  })
  const made = optimised(func)
  assert.is(scansOf(made).flatMap(scan => primsOf(scan.body)).filter(prim => prim === 'contract').length, 0, printFunc(made))
})

test('weights that a step uses twice: one product each, behind the loop', () => {
  const outer = (b: Builder, x: Id | undefined, y: Id | undefined): Id =>
    b.op('contract', [x ?? -1, y ?? -1], { sizes: { i: 2, j: 3 }, a: ['i'], b: ['j'], out: ['i', 'j'] })
  const func = loop(4, [], [f(2, 3)], [f(2), f(3), f(2), f(3)], (b, _, [total], [x, y, u, v]) => [two(b, 'add', total, two(b, 'add', outer(b, x, y), outer(b, u, v)))])
  assert.equal(primsOf(optimised(func)), ['contract', 'contract', 'add', 'add'])
})

test('what no carry needs is done behind the loop, what needs no carry in front of it', () => {
  const w = f(3, 3)
  const product = (b: Builder, m: Id | undefined, v: Id): Id => b.op('contract', [m ?? -1, v], { sizes: { o: 3, i: 3 }, a: ['o', 'i'], b: ['i'], out: ['o'] })
  const func = loop(4, [w, w, w], [f(3)], [f(3)], (b, [w1, w2, w3], [h], [x]) => {
    const next = one(b, 'tanh', two(b, 'add', product(b, w1, x ?? -1), product(b, w2, h ?? -1)))
    return [next, product(b, w3, next)]
  })
  const made = optimised(func)
  assert.equal(primsOf(made), ['contract', 'scan', 'contract'])
  assert.equal(primsOf(at(scansOf(made), 0).body), ['contract', 'add', 'tanh'])
})

test('what is done to a product ahead of the loop alone goes with it, and nothing that would be kept besides', () => {
  const w = f(3, 3)
  const product = (b: Builder, m: Id | undefined, v: Id): Id => b.op('contract', [m ?? -1, v], { sizes: { o: 3, i: 3 }, a: ['o', 'i'], b: ['i'], out: ['o'] })
  const func = loop(4, [w, w, f(3)], [f(3)], [f(3)], (b, [w1, w2, bias], [h], [x]) => {
    const input = one(b, 'tanh', two(b, 'add', product(b, w1, x ?? -1), bias))
    return [one(b, 'tanh', two(b, 'add', two(b, 'mul', input, one(b, 'exp', x)), product(b, w2, h ?? -1)))]
  })
  const made = optimised(func)
  assert.equal(primsOf(made), ['contract', 'broadcast', 'add', 'tanh', 'scan'])
  assert.equal(primsOf(at(scansOf(made), 0).body), ['exp', 'mul', 'contract', 'add', 'tanh'])
})

test('products of one value by several constants are one product', () => {
  const w = f(3, 3)
  const product = (b: Builder, m: Id | undefined, v: Id | undefined): Id => b.op('contract', [m ?? -1, v ?? -1], { sizes: { o: 3, i: 3 }, a: ['o', 'i'], b: ['i'], out: ['o'] })
  const gated = loop(4, [w, w], [f(3)], [], (b, [w1, w2], [h]) => [one(b, 'tanh', two(b, 'mul', product(b, w1, h), one(b, 'sin', product(b, w2, h))))])
  const products = (func: Func): number => scansOf(func).flatMap(scan => primsOf(scan.body)).filter(prim => prim === 'contract').length
  assert.is(products(optimised(gated)), 1)
  const gradient = valueAndGrad(define(gated.params, (b, ids) => [b.op('sum', b.inline(gated, ids), { axes: [0] })]), [0, 1, 2])
  assert.is(products(optimised(gradient)), 2)
  // one that leaves the loop is not tied to one that stays
  const read = loop(4, [w, w], [f(3)], [], (b, [w1, w2], [h]) => [one(b, 'tanh', product(b, w1, h)), product(b, w2, h)])
  assert.equal(primsOf(optimised(read)).filter(prim => prim === 'contract').length, 1)
})

test('a carry as the step found it is the carry as the last step left it', () => {
  for (const drop of [[], [2]]) {
    const func = loop(4, [], [f(3)], [f(3)], (b, _, [h], [x]) => {
      const next = one(b, 'tanh', two(b, 'add', h, x))
      return [next, h ?? -1, next]
    }, drop)
    assert.is(at(scansOf(optimised(func)), 0).ids.length, 2)
  }
  // two that change places are no earlier ones of each other
  const swapped = loop(5, [], [f(3), f(3)], [], (_, __, [x, y]) => [y ?? -1, x ?? -1, x ?? -1, y ?? -1])
  assert.is(at(scansOf(optimised(swapped)), 0).ids.length, 4)
})

test('the gradient of a recurrent layer: one product a step each way', () => {
  const plain = recurrentLoss(6, 4, 3)
  const batched = batch(plain, [false, false, false, true, true], 2)
  const loss = define(batched.params, (b, ids) => [b.op('sum', b.inline(batched, ids), { axes: [0] })])
  for (const func of [plain, loss]) {
    const made = optimised(valueAndGrad(func, [0, 1, 2]))
    assert.equal(scansOf(made).map(scan => primsOf(scan.body).filter(prim => prim === 'contract' || prim === 'sum').length), [1, 1])
    // the reverse loop reads two sequences: the error and the slope of tanh
    assert.is(at(scansOf(made), 1).xs.length, 2)
  }
})

test('no gradient work for what is not asked for', () => {
  const gradient = optimised(valueAndGrad(recurrentLoss(6, 4, 3), []))
  assert.is(sizeOfFunc(gradient), sizeOfFunc(optimised(recurrentLoss(6, 4, 3))))
  const bias = optimised(valueAndGrad(recurrentLoss(6, 4, 3), [2]))
  // two products forward (one in the loop), one in the backward loop
  assert.is([bias, ...scansOf(bias).map(scan => scan.body)].flatMap(primsOf).filter(prim => prim === 'contract').length, 3)
})

test('integers and stopped values have no gradient, and cost none', () => {
  const func = define([{ aval: f(3), path: 'x' }], (b, [x]) => [b.op('sum', [two(b, 'mul', x, b.op('stopGradient', [one(b, 'exp', x)], {}))], { axes: [0] })])
  assert.equal(primsOf(optimised(valueAndGrad(func, [0]))), ['exp', 'mul', 'sum'])
})

test.run()
