/** The builder: origins, inlining, idle operations, scans and their extension, and what it refuses. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { builder, define } from '../../../compiler/ir/build.ts'
import { interpret } from '../../../compiler/ir/interpret.ts'
import type { Origin } from '../../../compiler/ir/ir.ts'
import { verify } from '../../../compiler/ir/verify.ts'
import { at } from '../../../compiler/ir/view.ts'
import type { Aval } from '../../../dsl/core/prim.ts'
import { dense } from '../../../dsl/core/dense.ts'

const vector: Aval = { shape: [3], dtype: 'f32' }
const scalar: Aval = { shape: [], dtype: 'f32' }
const origin = (line: number): Origin => ({ file: 'm.ts', line, column: 1, name: '' })

test('an operation that changes nothing is its operand', () => {
  const b = builder()
  const x = b.param(vector)
  assert.is(b.op('reshape', [x], { shape: [3] }), x)
  assert.is(b.op('cast', [x], { dtype: 'f32' }), x)
  assert.is(b.op('broadcast', [x], { shape: [3], axes: [0] }), x)
  assert.is(b.op('transpose', [x], { perm: [0] }), x)
  assert.is(b.op('slice', [x], { start: [0], limit: [3], step: [1] }), x)
  assert.is(b.op('pad', [x], { low: [0], high: [0], interior: [0], value: 7 }), x)
  assert.is(b.op('concat', [x], { axis: 0 }), x)
  assert.is(b.op('sum', [x], { axes: [] }), x)
  assert.is.not(b.op('flip', [x], { axes: [0] }), x)
  const square = b.param({ shape: [2, 2], dtype: 'f32' })
  assert.is.not(b.op('transpose', [square], { perm: [1, 0] }), square)
  const one = b.param({ shape: [1], dtype: 'f32' })
  assert.is(b.op('pad', [one], { low: [0], high: [0], interior: [3], value: 7 }), one)
})

test('origins: given, enclosing, inlined', () => {
  const inner = define([{ aval: vector, path: '' }], (b, [x]) => [b.op('exp', [b.op('neg', [x ?? 0], {}, origin(1))], {})])
  const b = builder()
  const x = b.param(vector)
  b.within(origin(5), () => b.op('sin', [x], {}))
  b.inline(inner, [x], origin(9))
  assert.equal(b.finish([]).insts.map(inst => inst.origin.line), [5, 1, 9])
})

test('inline renames', () => {
  const inner = define([{ aval: vector, path: '' }, { aval: vector, path: '' }], (b, [x, y]) => [b.op('sub', [x ?? 0, y ?? 0], {}), x ?? 0])
  const outer = define([{ aval: vector, path: '' }], (b, [x]) => {
    const [d] = b.inline(inner, [b.op('add', [x ?? 0, x ?? 0], {}), x ?? 0])
    return [at(b.inline(inner, [x ?? 0, d ?? 0]), 0), at(b.inline(inner, [x ?? 0, d ?? 0]), 1)]
  })
  verify(outer, 'test')
  assert.equal(interpret(outer, [dense([3], [1, 2, 3])]).map(x => Array.from(x.data)), [[0, 0, 0], [1, 2, 3]])
})

/** carry + x and its double, by step. */
const running = define([{ aval: scalar, path: '' }, { aval: scalar, path: '' }], (b, [carry, x]) => {
  const next = b.op('add', [carry ?? 0, x ?? 0], {})
  return [next, b.op('add', [next, next], {})]
})

test('scan forwards and in reverse', () => {
  const run = (reverse: boolean) =>
    interpret(
      define([{ aval: scalar, path: '' }, { aval: vector, path: '' }], (b, [start, xs]) => b.scan({ length: 3, reverse, consts: [], init: [start ?? 0], xs: [xs ?? 0], body: running })),
      [dense([], [10]), dense([3], [1, 2, 4])],
    ).map(x => Array.from(x.data))
  assert.equal(run(false), [[17], [22, 26, 34]])
  assert.equal(run(true), [[17], [34, 32, 28]])
})

test('extend gives a scan more ys', () => {
  const b = builder()
  const start = b.param(scalar)
  const xs = b.param(vector)
  const ids = b.scan({ length: 3, reverse: false, consts: [], init: [start], xs: [xs], body: running })
  const later = b.op('neg', [at(ids, 0)], {})
  const [further] = b.extend(ids, { ...running, results: [...running.results, at(running.params, 0).id] })
  const func = b.finish([later, at([further], 0) ?? 0])
  verify(func, 'test')
  assert.equal(interpret(func, [dense([], [10]), dense([3], [1, 2, 4])]).map(x => Array.from(x.data)), [[-17], [10, 11, 13]])
  assert.throws(() => b.extend([later], running), /not a result of a scan/)
})

test('refusals', () => {
  const b = builder()
  const x = b.param(vector)
  const s = b.param(scalar)
  assert.throws(() => b.op('add', [x, s], {}), /add/)
  assert.throws(() => b.op('neg', [17], {}), /%17 is not defined/)
  assert.throws(() => b.inline(running, [x]), /1 arguments for 2 parameters/)
  assert.throws(() => b.inline(running, [x, s]), /argument 0 .* does not have the type/)
  assert.throws(() => b.scan({ length: 2, reverse: false, consts: [], init: [s], xs: [x], body: running }), /sequence 0 is f32\[3\], the scan takes 2 steps/)
  assert.throws(() => b.scan({ length: 3, reverse: false, consts: [], init: [x], xs: [x], body: running }), /carry 0 starts as f32\[3\], the body takes f32\[\]/)
})

test.run()
