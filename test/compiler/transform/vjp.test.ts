/** Reverse mode against numeric differentiation, with scans, twice, and under vmap. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import fc from 'fast-check'
import { type Dense, dense } from '../../../dsl/core/dense.ts'
import { aval, op, type Opaque, toDense } from '../../../dsl/core/apply.ts'
import type { Attrs, Prim } from '../../../dsl/core/prim.ts'
import { differentiate } from '../../../dsl/core/tape.ts'
import { interpret } from '../../../compiler/ir/interpret.ts'
import { builder, define } from '../../../compiler/ir/build.ts'
import type { Func, Id } from '../../../compiler/ir/ir.ts'
import { printFunc } from '../../../compiler/ir/print.ts'
import { at, range } from '../../../compiler/ir/view.ts'
import { verify } from '../../../compiler/ir/verify.ts'
import { optimise } from '../../../compiler/transform/passes.ts'
import { valueAndGrad, vjp } from '../../../compiler/transform/vjp.ts'
import { arbitrarySample, difference, randomArgs, randomDense, withLoss } from '../arbitrary.ts'
import { caseFuncs } from '../cases.ts'
import { batchError } from './slices.ts'

const item = (x: Dense): number => at(Array.from(x.data), 0)
const dot = (a: Dense, b: Dense): number => Array.from(a.data).reduce((n, x, i) => n + x * (b.data[i] ?? NaN), 0)
const moved = (x: Dense, by: Dense, step: number): Dense => x.dtype !== 'f32' ? x : dense(x.shape, Array.from(x.data, (v, i) => v + step * (by.data[i] ?? NaN)))

/**
 * The directional derivative of result 0 by central differences of step h and h/2, extrapolated (error h^4), and an
 * estimate of its own error.
 */
const slope = (func: Func, args: readonly Dense[], directions: readonly Dense[]): { readonly value: number; readonly error: number } => {
  const f = (h: number): number => item(at(interpret(func, args.map((x, i) => moved(x, at(directions, i), h))), 0))
  const central = (h: number): number => (f(h) - f(-h)) / (2 * h)
  const [wide, narrow] = [central(2e-4), central(1e-4)]
  return { value: (4 * narrow - wide) / 3, error: Math.abs(narrow - wide) }
}

/** The relative difference of gradient times direction and slope; 0 where the function is too steep for the numeric side. */
const gradientError = (func: Func, args: readonly Dense[], seed: number): number => {
  const wrt = realParams(func)
  const gradient = valueAndGrad(func, wrt)
  verify(gradient, 'vjp')
  const results = interpret(gradient, args)
  const grads = results.slice(func.results.length)
  const same = difference(results.slice(0, func.results.length), interpret(func, args))
  const directions = args.map((x, i) => randomDense(x, seed + 77 * i))
  const numeric = slope(func, args, directions)
  const analytic = grads.reduce((n, g, i) => n + dot(g, at(directions, at(wrt, i))), 0)
  const scale = Math.max(1, Math.abs(analytic), Math.abs(item(at(results, 0))))
  if (numeric.error > 1e-4 * scale) return same
  return Math.max(same, Math.abs(analytic - numeric.value) / scale)
}

/** Only these have gradients. */
const realParams = (func: Func): readonly number[] => range(func.params.length).filter(i => at(func.params, i).aval.dtype === 'f32')

const close = (func: Func, args: readonly Dense[], seed: number): void => {
  const error = gradientError(func, args, seed)
  assert.ok(error < 1e-7, `differs by ${error}\n${printFunc(func)}`)
}

for (const { name, func } of caseFuncs(c => c.smooth === true)) {
  test(`${name}, first and second order`, () => {
    const loss = withLoss(func)
    const args = randomArgs(loss, 5)
    close(loss, args, 6)
    close(gradientNorm(loss), args, 7)
  })
}

test('random functions', () => {
  fc.assert(fc.property(arbitrarySample({ smooth: true }), fc.nat(999), ({ func, args }, seed) => close(withLoss(func), args, seed)), { numRuns: 300, seed: 3 })
})

test('random functions with scans', () => {
  fc.assert(fc.property(arbitrarySample({ smooth: true, scans: true, steps: 9 }), fc.nat(999), ({ func, args }, seed) => close(withLoss(func), args, seed)), {
    numRuns: 300,
    seed: 4,
  })
})

/** The gradient's own slope, as a function: the sum of squares of all gradients, in front. */
const gradientNorm = (func: Func): Func => {
  const gradient = valueAndGrad(func, realParams(func))
  return define(func.params, (b, ids) => {
    const results = b.inline(gradient, ids).slice(func.results.length)
    const squares = results.map(id => b.op('sum', [b.op('mul', [id, b.op('sin', [id], {})], {})], { axes: range(b.aval(id).shape.length) }))
    return [squares.reduce((x, y) => b.op('add', [x, y], {}))]
  })
}

/** Runs a function with tape-tracked eager tensors. */
const runOn = (func: Func, args: readonly Opaque[]): readonly Opaque[] => {
  const values = new Map<Id, Opaque>(func.params.map((p, i) => [p.id, at(args, i)]))
  const value = (id: Id): Opaque => values.get(id) ?? assert.unreachable(`%${id}`) ?? {}
  const apply = (prim: Prim, inputs: readonly Opaque[], attrs: Attrs[Prim]): Opaque => op(...([prim, inputs, attrs] as unknown as Parameters<typeof op>)) // the pairing is lost
  for (const inst of func.insts) {
    if (inst.kind === 'op') {
      values.set(inst.id, apply(inst.prim, inst.inputs.map(value), inst.attrs))
      continue
    }
    const slice = (x: Opaque, t: number): Opaque => {
      const { shape } = aval(x)
      const start = shape.map((_, i) => (i === 0 ? t : 0))
      return apply('reshape', [apply('slice', [x], { start, limit: shape.with(0, t + 1), step: shape.map(() => 1) })], { shape: shape.slice(1) })
    }
    const order = inst.reverse ? range(inst.length).toReversed() : range(inst.length)
    const { carry, ys } = order.reduce<{ readonly carry: readonly Opaque[]; readonly ys: readonly (readonly Opaque[])[] }>(
      (state, t) => {
        const results = runOn(inst.body, [...inst.consts.map(value), ...state.carry, ...inst.xs.map(x => slice(value(x), t))])
        const made = results.slice(inst.init.length).map(y => apply('reshape', [y], { shape: [1, ...aval(y).shape] }))
        return { carry: results.slice(0, inst.init.length), ys: made.map((y, i) => (inst.reverse ? [y, ...(state.ys[i] ?? [])] : [...(state.ys[i] ?? []), y])) }
      },
      { carry: inst.init.map(value), ys: [] },
    )
    const all = [...carry, ...ys.map(parts => apply('concat', parts, { axis: 0 }))]
    inst.ids.forEach((id, i) => values.set(id, at(all, i)))
  }
  return func.results.map(value)
}

test('carries of other types: a counter that picks rows of a constant', () => {
  const inner = builder()
  const table = inner.param({ shape: [4, 3], dtype: 'f32' })
  const h = inner.param({ shape: [3], dtype: 'f32' })
  const i = inner.param({ shape: [], dtype: 'i32' })
  const row = inner.op('gather', [table, i], { axis: 0, batch: 0 })
  const next = inner.op('tanh', [inner.op('mul', [inner.op('add', [h, row], {}), row], {})], {})
  const counted = inner.op('add', [i, inner.op('fill', [], { shape: [], dtype: 'i32', value: 1 })], {})
  const body = inner.finish([next, counted, inner.op('gt', [next, row], {})])
  const loss = define([table, h].map((id, j) => ({ aval: inner.aval(id), path: `p${j}` })), (b, [t, start]) => {
    const zero = b.op('fill', [], { shape: [], dtype: 'i32', value: 0 })
    const [last, , mask] = b.scan({ length: 4, reverse: false, consts: [t ?? -1], init: [start ?? -1, zero], xs: [], body })
    return [b.op('sum', [last ?? -1], { axes: [0] }), mask ?? -1]
  })
  const args = randomArgs(loss, 8)
  close(loss, args, 9)
  close(gradientNorm(loss), args, 10)
  assert.is(batchError(valueAndGrad(loss, [0, 1]), [true, false], 2, 11) < 1e-12, true)
  assert.is(batchError(optimise(valueAndGrad(loss, [0, 1])), [false, true], 2, 12) < 1e-12, true)
})

test('the eager tape gives the same gradients', () => {
  fc.assert(
    fc.property(arbitrarySample({ scans: true }), ({ func, args }) => {
      const loss = withLoss(func)
      const compiled = interpret(valueAndGrad(loss, range(args.length)), args).slice(loss.results.length)
      const { grads } = differentiate(xs => at(runOn(loss, xs), 0), args)
      const error = difference(compiled, grads.map(toDense))
      assert.ok(error < 1e-11, `differs by ${error}\n${printFunc(loss)}`)
    }),
    { numRuns: 200, seed: 11 },
  )
})

test('second order', () => {
  fc.assert(fc.property(arbitrarySample({ smooth: true, steps: 7 }), fc.nat(999), ({ func, args }, seed) => close(gradientNorm(withLoss(func)), args, seed)), {
    numRuns: 150,
    seed: 5,
  })
})

test('second order through scans', () => {
  fc.assert(
    fc.property(arbitrarySample({ smooth: true, scans: true, steps: 5 }), fc.nat(999), ({ func, args }, seed) => close(gradientNorm(withLoss(func)), args, seed)),
    { numRuns: 120, seed: 6 },
  )
})

test('vmap of a gradient through scans', () => {
  fc.assert(
    fc.property(arbitrarySample({ smooth: true, scans: true, steps: 6 }), fc.nat(63), fc.nat(999), ({ func }, bits, seed) => {
      const loss = withLoss(func)
      const gradient = valueAndGrad(loss, range(loss.params.length))
      const error = batchError(gradient, gradient.params.map((_, i) => ((bits >> i) & 1) === 1), 2, seed)
      assert.ok(error < 1e-11, `differs by ${error}\n${printFunc(func)}`)
    }),
    { numRuns: 100, seed: 7 },
  )
})

test('cotangents of every result', () => {
  fc.assert(
    fc.property(arbitrarySample({ scans: true, smooth: true, steps: 8 }), fc.nat(999), ({ func, args }, seed) => {
      const pulled = vjp(func, range(func.params.length))
      verify(pulled, 'vjp')
      const cotangents = pulled.params.slice(func.params.length).map((p, i) => randomDense(p.aval, seed + i))
      const got = interpret(pulled, [...args, ...cotangents]).slice(func.results.length)
      // the same as the gradient of the sum of results times cotangents
      const loss = define(pulled.params, (b, ids) => {
        const results = b.inline(func, ids.slice(0, func.params.length))
        const terms = results.map((id, i) => b.op('sum', [b.op('mul', [id, at(ids, func.params.length + i)], {})], { axes: range(b.aval(id).shape.length) }))
        return [terms.reduce((x, y) => b.op('add', [x, y], {}))]
      })
      const expected = interpret(valueAndGrad(loss, range(func.params.length)), [...args, ...cotangents]).slice(1)
      assert.ok(difference(got, expected) < 1e-12)
    }),
    { numRuns: 100, seed: 8 },
  )
})

test.run()
