/** Printed functions, word for word. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { builder } from '../../../compiler/ir/build.ts'
import type { Origin } from '../../../compiler/ir/ir.ts'
import { printFunc, printProgram } from '../../../compiler/ir/print.ts'
import { optimise } from '../../../compiler/transform/passes.ts'
import { valueAndGrad } from '../../../compiler/transform/vjp.ts'
import { recurrentLoss } from '../transform/recurrent.ts'

const origin = (line: number, name: string): Origin => ({ file: 'models/toy.ts', line, column: 7, name })

test('every kind of line', () => {
  const b = builder()
  const x = b.param({ shape: [2, 6], dtype: 'f32' }, 'x')
  const w = b.param({ shape: [4, 3], dtype: 'f32' }, 'params.w')
  const conv = b.op(
    'contract',
    [x, w],
    {
      sizes: { n: 2, o: 4, p: 3, k: 3 },
      a: ['n', { p: 'p', k: 'k', stride: 2, dilation: 1, pad: 1, base: 1 }],
      b: ['o', 'k'],
      out: ['n', 'o', 'p'],
    },
    origin(3, 'hidden'),
  )
  const gate = b.op('sigmoid', [conv], {}, origin(4, 'gate'))
  const part = b.op('slice', [gate], { start: [0, 1, 0], limit: [2, 4, 3], step: [1, 2, 1] })
  const padded = b.op('pad', [part], { low: [0, 1, 0], high: [0, 0, 2], interior: [0, 1, 0], value: -1 })
  const total = b.op('sum', [padded], { axes: [0, 2] })
  const cubed = b.op('pow', [total], { exponent: 3 })
  const whole = b.op('cast', [cubed], { dtype: 'i32' })
  const table = b.op('literal', [], { shape: [2], dtype: 'i32', data: [1, 0] })
  const picked = b.op('gather', [whole, table], { axis: 0, batch: 0 })
  const func = b.finish([picked, gate])
  assert.is(
    printProgram({ name: 'toy/run', file: 'models/toy.ts', line: 9, config: { Z: 4 }, func, outputs: ['picked', ''], updates: [] }),
    `// models/toy.ts:9
program toy/run Z=4
(%0 x : f32[2, 6], %1 params.w : f32[4, 3]) => {
  %2 hidden : f32[2, 4, 3] = contract %0, %1 (n (p*2+k-1)), (o k) -> (n o p) sizes={k:3 n:2 o:4 p:3}   // models/toy.ts:3:7
  %3 gate : f32[2, 4, 3] = sigmoid %2   // models/toy.ts:4:7
  %4 : f32[2, 2, 3] = slice %3 [0:2, 1:4:2, 0:3]
  %5 : f32[2, 4, 5] = pad %4 [0:0, 1:0:1, 0:2] value=-1
  %6 : f32[4] = sum %5 axes=[0, 2]
  %7 : f32[4] = pow %6 ^3
  %8 : i32[4] = cast %7
  %9 : i32[2] = literal [1, 0]
  %10 : i32[2] = gather %8, %9 axis=0
  return %10, %3
}
// result picked: %10
// result 1: %3`,
  )
})

test('the gradient of a recurrent loss: the backward loop holds one product, the weights have theirs behind it', () => {
  assert.is(
    printFunc(optimise(valueAndGrad(recurrentLoss(5, 4, 3), [0, 1, 2]))),
    `(%0 w : f32[4, 4], %1 u : f32[4, 3], %2 b : f32[4], %3 xs : f32[5, 3], %4 ys : f32[5, 4]) => {
  %5 : f32[4] = fill 0
  %6 : f32[5, 4] = contract %1, %3 (o i), (n i) -> (n o) sizes={i:3 n:5 o:4}
  %7 : f32[4], %8 : f32[5, 4] = scan 5 consts (%0, %2) init (%5) xs (%6)
    (%0 : f32[4, 4], %1 : f32[4], %2 : f32[4], %3 : f32[4]) => {
      %4 : f32[4] = contract %0, %2 (o i), (i) -> (o) sizes={i:4 o:4}
      %5 : f32[4] = add %4, %3
      %6 : f32[4] = add %5, %1
      %7 : f32[4] = tanh %6
      return %7, %7
    }
  %9 : f32[4, 4] = slice %8 [0:4, 0:4]
  %10 : f32[5, 4] = sub %8, %4
  %11 : f32[5, 4] = mul %10, %10
  %12 : f32[5, 4] = mul %8, %8
  %13 : f32[5, 4] = fill 1
  %14 : f32[5, 4] = sub %13, %12
  %15 : f32[] = sum %11 axes=[0, 1]
  %16 : f32[4], %17 : f32[5, 4] = scan 5 reverse consts (%0) init (%5) xs (%10, %14)
    (%0 : f32[4, 4], %1 : f32[4], %2 : f32[4], %3 : f32[4]) => {
      %4 : f32[4] = add %2, %2
      %5 : f32[4] = add %1, %4
      %6 : f32[4] = mul %5, %3
      %7 : f32[4] = contract %6, %0 (o), (o i) -> (i) sizes={i:4 o:4}
      return %7, %6
    }
  %18 : f32[4, 4] = slice %17 [1:5, 0:4]
  %19 : f32[4, 4] = contract %18, %9 (t0 o), (t0 i) -> (o i) sizes={i:4 o:4 t0:4}
  %20 : f32[4, 3] = contract %17, %3 (t0 o), (t0 i) -> (o i) sizes={i:3 o:4 t0:5}
  %21 : f32[4] = sum %17 axes=[0]
  return %15, %19, %20, %21
}`,
  )
})

test.run()
