/** What simplify, fold, cse and the merging of contractions make of small functions: the primitives that are left, in order. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Builder, define } from '../../../compiler/ir/build.ts'
import type { Id } from '../../../compiler/ir/ir.ts'
import { interpret } from '../../../compiler/ir/interpret.ts'
import { printFunc } from '../../../compiler/ir/print.ts'
import { at } from '../../../compiler/ir/view.ts'
import { optimise } from '../../../compiler/transform/passes.ts'
import type { Attrs, Aval, Prim, Window } from '../../../dsl/core/prim.ts'
import { difference, randomArgs } from '../arbitrary.ts'

const f = (...shape: readonly number[]): Aval => ({ shape, dtype: 'f32' })

/** The instructions left of a function of x, y and z, as text without types; checked to mean the same. */
const left = (params: readonly Aval[], build: (b: Builder, x: Id, y: Id, z: Id) => Id): string => {
  const func = define(params.map((aval, i) => ({ aval, path: at(['x', 'y', 'z'], i) })), (b, ids) => [build(b, ids[0] ?? -1, ids[1] ?? -1, ids[2] ?? -1)])
  const made = optimise(func)
  const args = randomArgs(func, 4)
  // sums run in another order
  assert.ok(difference(interpret(func, args), interpret(made, args)) < 1e-12, printFunc(made))
  return printFunc(made)
    .split('\n')
    .slice(1, -1)
    .map(line => line.trim().replace(/ : \w+\[[^\]]*\]/, '').replace(/ sizes=.*/, ''))
    .join('; ')
}

const fill = (b: Builder, like: Id, value: number): Id => b.op('fill', [], { ...b.aval(like), value })
const two = (b: Builder, prim: 'add' | 'sub' | 'mul' | 'div', x: Id, y: Id): Id => b.op<Prim>(prim, [x, y], {})
const contract = (b: Builder, x: Id, y: Id, attrs: Omit<Attrs['contract'], 'sizes'>, sizes: Readonly<Record<string, number>>): Id => b.op('contract', [x, y], { ...attrs, sizes })

const window = (p: string, k: string, fields: Partial<Window> = {}): Window => ({ p, k, stride: 1, dilation: 1, pad: 0, base: 1, ...fields })

const padded = (b: Builder, x: Id, low: number, high: number): Id => b.op('pad', [x], { low: [low], high: [high], interior: [0], value: 0 })

const rows: readonly (readonly [string, readonly Aval[], (b: Builder, x: Id, y: Id, z: Id) => Id, string])[] = [
  ['x + 0', [f(3)], (b, x) => two(b, 'add', x, fill(b, x, 0)), 'return %0'],
  ['1 * x', [f(3)], (b, x) => two(b, 'mul', fill(b, x, 1), x), 'return %0'],
  ['0 * x keeps NaN', [f(3)], (b, x) => two(b, 'mul', fill(b, x, 0), x), '%1 = fill 0; %2 = mul %1, %0; return %2'],
  ['x / 4', [f(3)], (b, x) => two(b, 'div', x, fill(b, x, 4)), '%1 = fill 0.25; %2 = mul %0, %1; return %2'],
  ['x / 3 stays', [f(3)], (b, x) => two(b, 'div', x, fill(b, x, 3)), '%1 = fill 3; %2 = div %0, %1; return %2'],
  ['x + -y', [f(3), f(3)], (b, x, y) => two(b, 'add', x, b.op('neg', [y], {})), '%2 = sub %0, %1; return %2'],
  ['--x', [f(3)], (b, x) => b.op('neg', [b.op('neg', [x], {})], {}), 'return %0'],
  ['0 - x', [f(3)], (b, x) => two(b, 'sub', fill(b, x, 0), x), '%1 = neg %0; return %1'],
  ['x ^ 2', [f(3)], (b, x) => b.op('pow', [x], { exponent: 2 }), '%1 = mul %0, %0; return %1'],
  ['stopGradient', [f(3)], (b, x) => b.op('stopGradient', [x], {}), 'return %0'],
  ['constants fold', [f()], (b, x) => two(b, 'mul', x, b.op('exp', [two(b, 'sub', fill(b, x, 2), fill(b, x, 2))], {})), 'return %0'],
  ['reshapes compose', [f(6)], (b, x) => b.op('reshape', [b.op('reshape', [x], { shape: [2, 3] })], { shape: [6] }), 'return %0'],
  ['transposes compose', [f(2, 3)], (b, x) => b.op('transpose', [b.op('transpose', [x], { perm: [1, 0] })], { perm: [1, 0] }), 'return %0'],
  ['a transpose of ones is a reshape', [f(1, 3)], (b, x) => b.op('transpose', [x], { perm: [1, 0] }), '%1 = reshape %0; return %1'],
  ['a sum of repeats', [f(3)], (b, x) => b.op('sum', [b.op('broadcast', [x], { shape: [4, 3], axes: [1] })], { axes: [0] }), '%1 = fill 4; %2 = mul %0, %1; return %2'],
  ['sums compose', [f(2, 3, 4)], (b, x) => b.op('sum', [b.op('sum', [x], { axes: [1] })], { axes: [0] }), '%1 = sum %0 axes=[0, 1]; return %1'],
  ['a slice of a pad', [f(3)], (b, x) => b.op('slice', [b.op('pad', [x], { low: [2], high: [1], interior: [0], value: 0 })], { start: [2], limit: [5], step: [1] }), 'return %0'],
  ['a slice of a concat', [f(3), f(2)], (b, x, y) => b.op('slice', [b.op('concat', [x, y], { axis: 0 })], { start: [3], limit: [5], step: [1] }), 'return %1'],
  [
    'pads that fill each other are a concat',
    [f(2), f(3), f(1)],
    (b, x, y, z) => two(b, 'add', two(b, 'add', padded(b, x, 0, 4), padded(b, y, 3, 0)), padded(b, z, 2, 3)),
    '%3 = concat %0, %2, %1 axis=0; return %3',
  ],
  [
    'a gap between two pads is zeros',
    [f(2), f(3)],
    (b, x, y) => two(b, 'add', padded(b, x, 0, 4), padded(b, y, 3, 0)),
    '%2 = fill 0; %3 = concat %0, %2, %1 axis=0; return %3',
  ],
  [
    'pads that meet stay',
    [f(2), f(3)],
    (b, x, y) => two(b, 'add', padded(b, x, 0, 2), padded(b, y, 1, 0)),
    '%2 = pad %0 [0:2]; %3 = pad %1 [1:0]; %4 = add %2, %3; return %4',
  ],
  [
    'a product over padding is one over what is padded',
    [f(2, 3), f(6, 2)],
    (b, x, y) => contract(b, b.op('pad', [x], { low: [0, 2], high: [0, 1], interior: [0, 0], value: 0 }), y, { a: ['i', 'k'], b: ['k', 'j'], out: ['i', 'j'] }, { i: 2, k: 6, j: 2 }),
    '%2 = slice %1 [2:5, 0:2]; %3 = contract %0, %2 (i k), (k j) -> (i j); return %3',
  ],
  [
    'slices compose',
    [f(9)],
    (b, x) => b.op('slice', [b.op('slice', [x], { start: [1], limit: [9], step: [2] })], { start: [1], limit: [4], step: [2] }),
    '%1 = slice %0 [3:8:4]; return %1',
  ],
  [
    'work on repeats is done before repeating',
    [f(3), f(3)],
    (b, x, y) => {
      const wide = { shape: [5, 3], axes: [1] }
      return b.op('exp', [two(b, 'add', b.op('broadcast', [x], wide), b.op('broadcast', [y], wide))], {})
    },
    '%2 = add %0, %1; %3 = exp %2; %4 = broadcast %3 axes=[1]; return %4',
  ],
  [
    'a transpose of an operand becomes labels',
    [f(3, 2), f(3, 4)],
    (b, x, y) => contract(b, b.op('transpose', [x], { perm: [1, 0] }), y, { a: ['i', 'k'], b: ['k', 'j'], out: ['i', 'j'] }, { i: 2, k: 3, j: 4 }),
    '%2 = contract %0, %1 (k i), (k j) -> (i j); return %2',
  ],
  [
    'a repeated operand is not repeated',
    [f(2, 3), f(5, 3, 4)],
    (b, x, y) => contract(b, b.op('broadcast', [x], { shape: [5, 2, 3], axes: [1, 2] }), y, { a: ['n', 'i', 'k'], b: ['n', 'k', 'j'], out: ['n', 'i', 'j'] }, { n: 5, i: 2, k: 3, j: 4 }),
    '%2 = contract %0, %1 (i k), (n k j) -> (n i j); return %2',
  ],
  [
    'what one operand sums alone is summed first',
    [f(2, 3), f(2)],
    (b, x, y) => contract(b, x, y, { a: ['i', 'k'], b: ['i'], out: ['i'] }, { i: 2, k: 3 }),
    '%2 = sum %0 axes=[1]; %3 = contract %2, %1 (i), (i) -> (i); return %3',
  ],
  [
    'a sum of a contraction',
    [f(5, 2, 3), f(3, 4)],
    (b, x, y) => b.op('sum', [contract(b, x, y, { a: ['n', 'i', 'k'], b: ['k', 'j'], out: ['n', 'i', 'j'] }, { n: 5, i: 2, k: 3, j: 4 })], { axes: [2] }),
    '%2 = sum %1 axes=[1]; %3 = contract %0, %2 (n i k), (k) -> (n i); return %3',
  ],
  [
    'a matrix product written as a sum',
    [f(2, 3), f(3, 4)],
    (b, x, y) => b.op('sum', [two(b, 'mul', b.op('broadcast', [x], { shape: [2, 3, 4], axes: [0, 1] }), b.op('broadcast', [y], { shape: [2, 3, 4], axes: [1, 2] }))], { axes: [1] }),
    '%2 = contract %0, %1 (d0 d1), (d1 d2) -> (d0 d2); return %2',
  ],
  [
    'a convolution to one position is a product',
    [f(2, 4), f(3, 2, 4)],
    (b, x, y) => b.op('reshape', [contract(b, x, y, { a: ['c', window('p', 'k', { stride: 2 })], b: ['o', 'c', 'k'], out: ['o', 'p'] }, { c: 2, o: 3, k: 4, p: 1 })], { shape: [3] }),
    '%2 = contract %0, %1 (c k), (o c k) -> (o); return %2',
  ],
  [
    'a convolution with a kernel of one element is a product',
    [f(2, 4), f(3, 2, 1)],
    (b, x, y) => contract(b, x, y, { a: ['c', window('p', 'k')], b: ['o', 'c', 'k'], out: ['o', 'p'] }, { c: 2, o: 3, k: 1, p: 4 }),
    '%2 = reshape %1; %3 = contract %0, %2 (c p), (o c) -> (o p); return %3',
  ],
  [
    'a transposed convolution of one position is a product',
    [f(2, 1), f(3, 2, 4)],
    (b, x, y) => contract(b, x, y, { a: ['c', window('p', 'k', { dilation: -1 })], b: ['o', 'c', 'k'], out: ['o', 'p'] }, { c: 2, o: 3, k: 4, p: 4 }),
    '%2 = reshape %0; %3 = contract %2, %1 (c), (o c p) -> (o p); return %3',
  ],
  [
    'and so is the gradient by its kernel',
    [f(3, 4), f(2, 1)],
    (b, x, y) => contract(b, x, y, { a: ['o', 'p'], b: ['c', window('p', 'k', { dilation: -1 })], out: ['o', 'c', 'k'] }, { c: 2, o: 3, k: 4, p: 4 }),
    '%2 = reshape %1; %3 = contract %0, %2 (o p), (c) -> (o c p); return %3',
  ],
  [
    'windows that slide stay',
    [f(2, 4), f(3, 2, 4)],
    (b, x, y) => contract(b, x, y, { a: ['c', window('p', 'k', { pad: 1 })], b: ['o', 'c', 'k'], out: ['o', 'p'] }, { c: 2, o: 3, k: 4, p: 1 }),
    '%2 = contract %0, %1 (c (p+k-1)), (o c k) -> (o p); return %2',
  ],
  [
    'the gradients of two branches meet in one select',
    [f(3), f(3), f(3)],
    (b, x, y, z) => {
      const cond = b.op('gt', [x, y], {})
      const upper = b.op('select', [cond, z, fill(b, z, 0)], {})
      const lower = b.op('select', [cond, fill(b, z, 0), z], {})
      return two(b, 'add', upper, two(b, 'mul', lower, fill(b, z, 0.25)))
    },
    '%3 = gt %0, %1; %4 = fill 0.25; %5 = mul %2, %4; %6 = select %3, %2, %5; return %6',
  ],
  [
    'equal work is done once, whatever the labels and the order',
    [f(2, 3), f(3)],
    (b, x, y) =>
      two(
        b,
        'add',
        b.op('exp', [contract(b, x, y, { a: ['i', 'k'], b: ['k'], out: ['i'] }, { i: 2, k: 3 })], {}),
        b.op('exp', [contract(b, x, y, { a: ['o', 'p'], b: ['p'], out: ['o'] }, { p: 3, o: 2 })], {}),
      ),
    '%2 = contract %0, %1 (i k), (k) -> (i); %3 = exp %2; %4 = add %3, %3; return %4',
  ],
]

for (const [name, params, build, expected] of rows) test(name, () => assert.is(left(params, build), expected))

test.run()
