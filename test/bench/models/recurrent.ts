/** Recurrent programs: an LSTM layer with its gradients, one with four gate matrices, a two-way layer, a decoder fed by its own output. */
import { add, concat, grad, matvec, mean, mul, program, relu, scan, sigmoid, square, sub, tanh, vmap, zeros } from '../../../dsl/index.ts'
import type { Scalar, Tensor, Vec } from '../../../dsl/index.ts'
import { biLstmStack, linear, lstm, lstmCell, lstmZero, type BiLstm, type Linear, type Lstm } from '../../../dsl/nn/index.ts'

type Xs = Tensor<[32, 16, 64]>
type Ys = Tensor<[32, 16, 256]>
const layer = (p: Lstm<64, 256>, xs: Xs, ys: Ys): Scalar =>
  mean(vmap({ xs, ys }, one => mean(square(sub(lstm(p, lstmZero(256), one.xs).outputs, one.ys)))))
export const forward = program((p: Lstm<64, 256>, xs: Xs) => vmap(xs, one => lstm(p, lstmZero(256), one).outputs))
export const backward = program((p: Lstm<64, 256>, xs: Xs, ys: Ys) => grad((q: Lstm<64, 256>) => layer(q, xs, ys))(p))

type Gate = { readonly w: Tensor<[256, 64]>; readonly u: Tensor<[256, 256]>; readonly b: Vec<256> }
type Gates = { readonly i: Gate; readonly f: Gate; readonly g: Gate; readonly o: Gate }
const apart = (p: Gates, xs: Tensor<[16, 64]>): Tensor<[16, 256]> => {
  const [, hs] = scan({ h: zeros([256]), c: zeros([256]) }, xs, (s, x) => {
    const gate = (q: Gate) => add(add(matvec(q.w, x), matvec(q.u, s.h)), q.b)
    const c = add(mul(sigmoid(gate(p.f)), s.c), mul(sigmoid(gate(p.i)), tanh(gate(p.g))))
    const h = mul(sigmoid(gate(p.o)), tanh(c))
    return [{ h, c }, h]
  })
  return hs
}
/** The same layer from four matrices. */
export const four = program((p: Gates, xs: Xs, ys: Ys) => grad((q: Gates) => mean(vmap({ xs, ys }, one => mean(square(sub(apart(q, one.xs), one.ys))))))(p))

type Both = BiLstm<64, 256>
export const twoWay = program((p: Both, xs: Xs, ys: Tensor<[32, 16, 512]>) =>
  grad((q: Both) => mean(vmap({ xs, ys }, one =>
    mean(square(sub(biLstmStack([q], [{ forward: lstmZero(256), backward: lstmZero(256) }], one.xs).outputs, one.ys))))))(p))

type Decoder = { readonly cell: Lstm<64, 256>; readonly out: Linear<256, 64> }
/** What a step gives is what the next one takes. */
export const decoder = program((p: Decoder, start: Tensor<[32, 64]>, ys: Xs) => {
  const run = (q: Decoder, first: Vec<64>) => scan({ state: lstmZero(256), x: first }, zeros([16]), (s, _) => {
    const state = lstmCell(q.cell, s.state, s.x)
    const x = relu(linear(q.out, state.h))
    return [{ state, x }, x]
  })[1]
  return grad((q: Decoder) => mean(vmap({ start, ys }, one => mean(square(sub(run(q, one.start), one.ys))))))(p)
})
