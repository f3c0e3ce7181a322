/**
 * q(d | x_1:T) and what d says of every frame (Eq. 2): an LSTM reads the poses in both directions, a head turns its final states
 * into d, and a second LSTM, started from d alone, writes a context for each frame. d is all that passes between the two.
 */
import { concat, flatten, reshape, scan, tanh, vmap, zeros, type Batched, type Mul } from '../../../dsl/index.ts'
import { linear, lstm, lstmCell, lstmZero, type BiLstm, type Linear, type Lstm } from '../../../dsl/nn/index.ts'
import type { Normal } from '../../../dsl/prob/index.ts'
import type { Tensor, Vec } from '../../../dsl/tensor.ts'
import { head, type Head } from '../heads.ts'

export type Dynamics = {
  /** Poses in the width that every layer reads. */
  readonly embed: Linear<'Z', Mul<2, 'H'>>
  readonly layers: Batched<'L', BiLstm<Mul<2, 'H'>, 'H'>>
  /** From the final states of all layers and both directions. */
  readonly head: Head<Mul<'L', Mul<2, 'H'>>, 'D'>
}

/** q(d | x_1:T) from the poses of the frames. */
export const dynamics = (p: Dynamics, poses: Tensor<['T', 'Z']>): Normal<['D']> => {
  const xs = vmap(poses, h => linear(p.embed, h))
  const [, finals] = scan(xs, p.layers, (below, layer) => {
    const there = lstm(layer.forward, lstmZero('H'), below)
    const back = lstm(layer.backward, lstmZero('H'), below, { reverse: true })
    return [concat(there.outputs, back.outputs, 1), concat(there.final.h, back.final.h)]
  })
  return head(p.head, flatten(finals))
}

export type Sequence = {
  /** From d to the hidden and the cell state of every layer. */
  readonly hidden: Linear<'D', Mul<'L', 'H'>>
  readonly cell: Linear<'D', Mul<'L', 'H'>>
  /** What the first step reads; later ones read the output of the step before. */
  readonly start: Vec<'H'>
  readonly layers: Batched<'L', Lstm<'H', 'H'>>
}

/** The contexts h~_1..h~_T of a video with dynamics d. */
export const contexts = (p: Sequence, d: Vec<'D'>): Tensor<['T', 'H']> => {
  const h = reshape(tanh(linear(p.hidden, d)), ['L', 'H'])
  const c = reshape(linear(p.cell, d), ['L', 'H'])
  const [, outputs] = scan({ x: p.start, h, c }, zeros(['T']), (state, _) => {
    const [x, next] = scan(state.x, { layer: p.layers, h: state.h, c: state.c }, (below, { layer, h, c }) => {
      const own = lstmCell(layer, { h, c }, below)
      return [own.h, own]
    })
    return [{ x, h: next.h, c: next.c }, x]
  })
  return outputs
}
