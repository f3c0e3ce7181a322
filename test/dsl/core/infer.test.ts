/** What the shape rules refuse, and in which words. That they agree with eager's results is tested with the values. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Call } from '../../../dsl/core/apply.ts'
import { isTensor, op } from '../../../dsl/core/apply.ts'
import type { Contraction } from '../../../dsl/core/prim.ts'
import { dense, filled } from '../../../dsl/core/dense.ts'
import { refusal } from './support.ts'

const f = (...shape: readonly number[]) => filled(shape, 0)
const i = (...shape: readonly number[]) => filled(shape, 0, 'i32')
const u = (...shape: readonly number[]) => filled(shape, 0, 'u32')
const flag = (...shape: readonly number[]) => filled(shape, 0, 'bool')

const product: Contraction = { sizes: { i: 2, j: 3, k: 4 }, a: ['i', 'j'], b: ['j', 'k'], out: ['i', 'k'] }
const view = { p: 'p', k: 'k', stride: 1, dilation: 1, pad: 0, base: 1 }
const conv: Contraction = { sizes: { p: 3, k: 2 }, a: [view], b: ['k'], out: ['p'] }

const refused: readonly (readonly [Call, string])[] = [
  [['fill', [], { shape: [2, -1], dtype: 'f32', value: 0 }], 'fill: [2, -1] is not a shape: sizes are whole numbers, 0 or more'],
  [['fill', [], { shape: [1.5], dtype: 'f32', value: 0 }], 'fill: [1.5] is not a shape: sizes are whole numbers, 0 or more'],
  [['fill', [], { shape: [], dtype: 'u32', value: -1 }], 'fill: -1 is not a value of u32'],
  [['fill', [], { shape: [], dtype: 'i32', value: 0.5 }], 'fill: 0.5 is not a value of i32'],
  [['fill', [], { shape: [], dtype: 'i32', value: 2 ** 31 }], 'fill: 2147483648 is not a value of i32'],
  [['fill', [], { shape: [], dtype: 'bool', value: 2 }], 'fill: 2 is not a value of bool'],
  [['fill', [f()], { shape: [], dtype: 'f32', value: 2 }], 'fill: takes 0 tensors, got 1'],
  [['literal', [], { shape: [2, 2], dtype: 'f32', data: [1, 2, 3] }], 'literal: shape [2, 2] has 4 elements, got 3 values'],
  [['literal', [], { shape: [1], dtype: 'bool', data: [7] }], 'literal: 7 is not a value of bool'],
  [['iota', [], { shape: [2], dtype: 'i32', axis: 1 }], 'iota: there is no axis 1 in i32[2]'],
  [['randomBits', [u(3)], { shape: [2] }], 'randomBits: a key is u32[2] (or a batch u32[..., 2]), got u32[3]'],
  [['randomBits', [i(2)], { shape: [2] }], 'randomBits: takes u32, got i32[2]; cast it first'],

  [['exp', [i(2)], {}], 'exp: takes f32, got i32[2]; cast it first'],
  [['exp', [], {}], 'exp: takes 1 tensor, got 0'],
  [['neg', [u(2)], {}], 'neg: takes f32, i32, got u32[2]; cast it first'],
  [['not', [f(2)], {}], 'not: takes bool, got f32[2]; cast it first'],
  [['pow', [f(2)], { exponent: NaN }], 'pow: the exponent must be a finite number, got NaN'],
  [['add', [f(2, 3), f(2, 4)], {}], 'add: left is [2, 3], right is [2, 4] [3 != 4]'],
  [['add', [f(2, 3), f(3)], {}], 'add: left is [2, 3], right is [3]'],
  [['add', [f(2), i(2)], {}], 'add: left is [2], right is i32 [2] [f32 != i32]'],
  [['add', [flag(2), flag(2)], {}], 'add: takes f32, i32, u32, got bool[2]; cast it first'],
  [['div', [i(2), i(2)], {}], 'div: takes f32, got i32[2]; cast it first'],
  [['and', [f(2), f(2)], {}], 'and: takes bool, i32, u32, got f32[2]; cast it first'],
  [['shl', [flag(2), flag(2)], {}], 'shl: takes i32, u32, got bool[2]; cast it first'],
  [['lt', [flag(2), flag(2)], {}], 'lt: takes f32, i32, u32, got bool[2]; cast it first'],
  [['select', [f(2), f(2), f(2)], {}], 'select: the condition must be bool, got f32[2]'],
  [['select', [flag(2), f(3), f(3)], {}], 'select: the condition is bool [2], the choices are [3] [2 != 3]'],
  [['select', [flag(2), f(2), i(2)], {}], 'select: left is [2], right is i32 [2] [f32 != i32]'],

  [['reshape', [f(2, 3)], { shape: [4] }], 'reshape: [2, 3] has 6 elements, [4] has 4 [6 != 4]'],
  [['transpose', [f(2, 3)], { perm: [0, 0] }], 'transpose: [0, 0] is not an order of the 2 axes of f32[2, 3]'],
  [['transpose', [f(2, 3)], { perm: [1, 0, 2] }], 'transpose: [1, 0, 2] is not an order of the 2 axes of f32[2, 3]'],
  [['broadcast', [f(3)], { shape: [2, 4], axes: [1] }], 'broadcast: [3] to [2, 4]: axis 0 becomes axis 1 [3 != 4]'],
  [['broadcast', [f(3, 2)], { shape: [2, 3], axes: [1, 0] }], 'broadcast: axes [1, 0] of f32[2, 3] must be ascending, each once'],
  [['broadcast', [f(3)], { shape: [3], axes: [] }], 'broadcast: axes [] must have one entry for each axis of f32[3]'],
  [['broadcast', [f(3)], { shape: [3], axes: [1] }], 'broadcast: there is no axis 1 in f32[3]'],
  [['concat', [], { axis: 0 }], 'concat: takes at least one tensor'],
  [['concat', [f(2, 3), f(2, 4)], { axis: 0 }], 'concat: beyond axis 0 left is [2, 3], right is [2, 4] [3 != 4]'],
  [['concat', [f(2, 3), f(2)], { axis: 0 }], 'concat: left is [2, 3], right is [2]; they differ in rank'],
  [['concat', [f(2), i(2)], { axis: 0 }], 'concat: left is [2], right is i32 [2] [f32 != i32]'],
  [['concat', [f()], { axis: 0 }], 'concat: there is no axis 0 in f32[]'],
  [['slice', [f(4)], { start: [1], limit: [5], step: [1] }], 'slice: 1..5 on axis 0 of [4] does not lie within 0..4'],
  [['slice', [f(4)], { start: [3], limit: [2], step: [1] }], 'slice: 3..2 on axis 0 of [4] does not lie within 0..4'],
  [['slice', [f(4)], { start: [0], limit: [2], step: [0] }], 'slice: step 0 on axis 0 of [4] must be 1 or more'],
  [['slice', [f(4)], { start: [0, 0], limit: [2], step: [1] }], 'slice: start [0, 0] must have one entry for each axis of f32[4]'],
  [['slice', [f(4)], { start: [0.5], limit: [2], step: [1] }], 'slice: start [0.5] must be whole numbers'],
  [['pad', [f(4)], { low: [-1], high: [0], interior: [0], value: 0 }], 'pad: padding -1, 0, 0 on axis 0 of [4] is negative'],
  [['pad', [i(4)], { low: [1], high: [0], interior: [0], value: 0.5 }], 'pad: 0.5 is not a value of i32'],
  [['flip', [f(4)], { axes: [1] }], 'flip: there is no axis 1 in f32[4]'],
  [['gather', [f(4), f(2)], { axis: 0, batch: 0 }], 'gather: indices must be i32, got f32[2]'],
  [['gather', [f(4), i(2)], { axis: 1, batch: 0 }], 'gather: there is no axis 1 in f32[4]'],
  [['gather', [f(4, 5), i(3, 2)], { axis: 1, batch: 1 }], 'gather: [4, 5] and indices [3, 2] differ on batch axis 0 [4 != 3]'],
  [['gather', [f(4, 5), i(4, 2)], { axis: 0, batch: 1 }], 'gather: 1 batch axes do not fit f32[4, 5] on axis 0 and indices i32[4, 2]'],
  [['gather', [f(0), i(2)], { axis: 0, batch: 0 }], 'gather: f32[0] has no elements along axis 0'],
  [['sum', [f(2, 3)], { axes: [2] }], 'sum: there is no axis 2 in f32[2, 3]'],
  [['sum', [f(2, 3)], { axes: [1, 0] }], 'sum: axes [1, 0] of f32[2, 3] must be ascending, each once'],
  [['sum', [f(2, 3)], { axes: [0, 0] }], 'sum: axes [0, 0] of f32[2, 3] must be ascending, each once'],
  [['sum', [flag(2)], { axes: [0] }], 'sum: takes f32, i32, u32, got bool[2]; cast it first'],
  [['max', [f(2, 0)], { axes: [1] }], 'max: f32[2, 0] has no elements along axis 1'],

  [['contract', [f(2, 3)], product], 'contract: takes 2 tensors, got 1'],
  [['contract', [f(2, 3), i(3, 4)], product], 'contract: takes f32, got i32[3, 4]; cast it first'],
  [['contract', [f(2, 3), f(5, 4)], product], 'contract: b [5, 4] as jk: axis 0 has size 5, label j has 3 [5 != 3]'],
  [['contract', [f(2), f(3, 4)], product], 'contract: a [2] as ij: 2 dimensions named, the tensor has 1'],
  [['contract', [f(3, 3), f(3, 4)], { ...product, a: ['j', 'j'] }], 'contract: a [3, 3] as jj: label j occurs twice in one operand'],
  [['contract', [f(2, 3), f(3, 4)], { ...product, a: ['i', 'z'] }], 'contract: a [2, 3] as iz: label z has no size'],
  [['contract', [f(2, 3), f(3, 4)], { ...product, out: ['i', 'i'] }], 'contract: label i occurs twice in the result ii'],
  [['contract', [f(2, 3), f(3, 4)], { ...product, out: ['toString'] }], 'contract: label toString of the result <toString> occurs in neither operand'],
  [['contract', [f(2, 3), f(3, 4)], { ...product, sizes: { ...product.sizes, q: 2 } }], 'contract: label q has a size but occurs in neither operand'],
  [['contract', [f(2, 3), f(3, 4)], { ...product, sizes: { ...product.sizes, i: -2 } }], 'contract: label i has size -2: sizes are whole numbers, 0 or more'],
  [['contract', [f(4), f(3)], conv], 'contract: b [3] as k: axis 0 has size 3, label k has 2 [3 != 2]'],
  [['contract', [f(4), f(2)], { ...conv, a: [{ ...view, k: 'p' }] }], 'contract: a [4] as (1p+1p-0): label p occurs twice in one operand'],
  [
    ['contract', [f(4), f(2)], { ...conv, a: [{ ...view, stride: 0 }] }],
    "contract: a [4] as (0p+1k-0): a window's stride 0 and dilation 1 must not be 0, its base 1 must be 1 or more",
  ],
  [
    ['contract', [f(4), f(2)], { ...conv, a: [{ ...view, base: 0 }] }],
    "contract: a [4] as (1p+1k-0)/0: a window's stride 1 and dilation 1 must not be 0, its base 0 must be 1 or more",
  ],
  [['contract', [f(4), f(2)], { ...conv, a: [{ ...view, pad: 0.5 }] }], 'contract: window of a [4] as (1p+1k-0.5) [1, 1, 0.5, 1] must be whole numbers'],
]

test('every refusal says what was done, the shapes and the numbers that clash', () => {
  for (const [call, message] of refused) assert.is(refusal(...call), message)
})

test('what is not a tensor is refused as an input, and known as such', () => {
  const bad = (x: unknown): string => refusal('neg', [x as object], {})
  assert.is(bad(3), 'op: expected a tensor, got number 3')
  assert.is(bad(undefined), 'op: expected a tensor, got undefined')
  assert.is(bad([f(1)]), 'op: expected a tensor, got an array')
  assert.is(bad({ weight: f(1) }), 'op: expected a tensor, got a record')
  assert.is(bad(null), 'op: expected a tensor, got null')
  assert.ok(isTensor(f(2)) && isTensor(op('neg', [f(2)], {})))
  for (const x of [
    3,
    'Z',
    null,
    undefined,
    [1],
    { shape: [2] },
    { data: [1], shape: [1], dtype: 'f32' },
    { data: new Float64Array(1), shape: [1], dtype: 'f64' },
  ])
    assert.not(isTensor(x))
})

test('a tensor must have as many values as its shape says', () => {
  assert.throws(() => dense([2, 2], [1]), /tensor: shape \[2, 2\] has 4 elements, got 1 values/)
})

test.run()
