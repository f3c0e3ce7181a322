import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { grad, item, key, mul, randomNormal, square, sum, tensor, toArray, type Tensor } from '../../../dsl/index.ts'
import { biLstmStack, dropoutMask, lstm, lstmCell, lstmStack, lstmZero, type Lstm } from '../../../dsl/nn/index.ts'

const all = (a: readonly number[], b: readonly number[], tolerance = 1e-10): void => {
  assert.is(a.length, b.length)
  a.forEach((x, i) => assert.ok(Math.abs(x - b[i]!) <= tolerance * Math.max(1, Math.abs(b[i]!)), `${i}: ${x} against ${b[i]}`))
}
const sigma = (x: number): number => 1 / (1 + Math.exp(-x))

/** Parameters and a scalar reference from the same numbers. */
const layer = <const I extends number>(seed: number, i: I): { readonly p: Lstm<I, 3>; readonly run: (xs: readonly (readonly number[])[], h?: readonly number[], c?: readonly number[]) => { hs: number[][]; h: number[]; c: number[] } } => {
  const [wi, wh, bi, bh] = [4 * 3 * i, 4 * 3 * 3, 12, 12].map((n, k) => toArray(randomNormal(key(seed * 10 + k), [200])).slice(0, n)) as [number[], number[], number[], number[]]
  const run = (xs: readonly (readonly number[])[], h0: readonly number[] = [0, 0, 0], c0: readonly number[] = [0, 0, 0]) => {
    let [h, c] = [[...h0], [...c0]]
    const hs = xs.map(x => {
      const gate = (g: number, n: number): number => {
        const row = g * 3 + n
        let total = bi[row]! + bh[row]!
        for (let k = 0; k < i; k++) total += wi[row * i + k]! * x[k]!
        for (let k = 0; k < 3; k++) total += wh[row * 3 + k]! * h[k]!
        return total
      }
      const next = c.map((value, n) => sigma(gate(1, n)) * value + sigma(gate(0, n)) * Math.tanh(gate(2, n)))
      h = next.map((value, n) => sigma(gate(3, n)) * Math.tanh(value))
      c = next
      return h
    })
    return { hs, h, c }
  }
  const p = { weightIh: tensor([12, i], wi), weightHh: tensor([12, 3], wh), biasIh: tensor([12], bi), biasHh: tensor([12], bh) } as unknown as Lstm<I, 3> // 4 * 3 = 12
  return { p, run }
}
const rows = <T>(xs: readonly T[], n: number): T[][] => Array.from({ length: xs.length / n }, (_, t) => xs.slice(t * n, t * n + n))
const x = randomNormal(key(99), [5, 2])
const xs = rows(toArray(x), 2)

test('a cell against the scalar loop', () => {
  const { p, run } = layer(1, 2)
  const state = { h: tensor([3], [0.1, -0.2, 0.3]), c: tensor([3], [1, -1, 0.5]) }
  const next = lstmCell(p, state, tensor([2], xs[0]!))
  const want = run([xs[0]!], [0.1, -0.2, 0.3], [1, -1, 0.5])
  all(toArray(next.h), want.h)
  all(toArray(next.c), want.c)
})

test('a layer over time, forwards and backwards', () => {
  const { p, run } = layer(2, 2)
  const there = lstm(p, lstmZero(3), x)
  const outputs: Tensor<[5, 3]> = there.outputs
  all(toArray(outputs), run(xs).hs.flat())
  all(toArray(there.final.c), run(xs).c)
  const back = lstm(p, lstmZero(3), x, { reverse: true })
  const want = run(xs.toReversed())
  all(toArray(back.outputs), want.hs.toReversed().flat())
  all(toArray(back.final.h), want.h)
})

test('a stack with dropout between layers', () => {
  const [a, b] = [layer(3, 2), layer(4, 3)]
  const mask = dropoutMask(key(5), 0.4, [5, 3])
  const m = rows(toArray(mask), 3)
  const { outputs, finals } = lstmStack([a.p, b.p], [lstmZero(3), lstmZero(3)], x, [mask])
  const below = a.run(xs)
  const want = b.run(below.hs.map((h, t) => h.map((v, k) => v * m[t]![k]!)))
  all(toArray(outputs), want.hs.flat())
  all(toArray(finals[0]!.h), below.h)
  all(toArray(finals[1]!.c), want.c)
})

test('two-way layers see both directions of the layer below', () => {
  const [f1, b1, f2, b2] = [layer(5, 2), layer(6, 2), layer(7, 6), layer(8, 6)]
  const zero = { forward: lstmZero(3), backward: lstmZero(3) }
  const { outputs, finals } = biLstmStack([{ forward: f1.p, backward: b1.p }, { forward: f2.p, backward: b2.p }], [zero, zero], x)
  const both = (f: typeof f1.run, b: typeof f1.run, input: number[][]): number[][] => {
    const back = b(input.toReversed()).hs.toReversed()
    return f(input).hs.map((h, t) => [...h, ...back[t]!])
  }
  const middle = both(f1.run, b1.run, xs)
  const y: Tensor<[5, 6]> = outputs
  all(toArray(y), both(f2.run, b2.run, middle).flat())
  all(toArray(finals[1]!.backward.h), b2.run(middle.toReversed()).h)
})

test('dropout keeps the mean: zeros at the rate, the rest scaled up', () => {
  const m = toArray(dropoutMask(key(1), 0.2, [100, 100]))
  assert.ok(m.every(v => v === 0 || v === 1.25))
  assert.ok(Math.abs(m.filter(v => v === 0).length / 10000 - 0.2) < 4 * Math.sqrt(0.16 / 10000))
})

test('gradients run back through time', () => {
  const { p } = layer(9, 2)
  const loss = (q: Lstm<2, 3>) => sum(square(lstm(q, lstmZero(3), x).outputs))
  const g = grad(loss)(p)
  const w = toArray(p.weightHh)
  for (const at of [0, 7, 20, 35]) {
    const moved = (d: number) => item(loss({ ...p, weightHh: tensor([12, 3], w.map((v, k) => (k === at ? v + d : v))) } as unknown as Lstm<2, 3>))
    const numeric = (moved(1e-5) - moved(-1e-5)) / 2e-5
    assert.ok(Math.abs(toArray(g.weightHh)[at]! - numeric) < 1e-7 * Math.max(1, Math.abs(numeric)))
  }
  assert.ok(toArray(mul(g.biasIh, 1)).some(v => v !== 0))
})

test.run()
