/** About the smallest model that a training loop takes: one mean picture, seen through noise from the key, by Adam. */
import { adam, adamInit, add, mean, mul, program, randomNormal, square, sub, valueAndGrad, vmap, type AdamState, type Key } from '../../../../dsl/index.ts'
import type { Scalar, Tensor } from '../../../../dsl/tensor.ts'

type Params = { readonly mean: Tensor<[3, 64, 64]> }
type State = { readonly params: Params; readonly optimizer: AdamState<Params> }
type Batch = Tensor<[2, 2, 2, 3, 64, 64]>

const loss = (params: Params, x: Batch, noise: Tensor<[3, 64, 64]>): Scalar =>
  mean(vmap(x, group => mean(vmap(group, part => mean(vmap(part, frame => mean(square(sub(add(params.mean, noise), frame)))))))))

export const init = program((key: Key): State => {
  const params = { mean: mul(randomNormal(key, [3, 64, 64]), 0.1) }
  return { params, optimizer: adamInit(params) }
})

export const trainStep = program((state: State, x: Batch, key: Key, schedule: { readonly learningRate: Scalar }) => {
  const { value, grad } = valueAndGrad(loss)(state.params, x, mul(randomNormal(key, [3, 64, 64]), 0.01))
  const next = adam(state.params, state.optimizer, grad, { learningRate: schedule.learningRate })
  return { state: { params: next.params, optimizer: next.state }, metrics: { loss: value } }
}, {}, { updates: 'state' })
