/** Programs with enough work to be cut into parts: a training step with its optimiser, a recurrence, a long chain with its sum. */
import {
  adamInit, adamW, add, exp, mean, mul, program, randomNormal, scan, square, sub, sum, tanh, valueAndGrad, vmap,
  type AdamState, type Key, type Tensor, type Vec,
} from '../../../dsl/index.ts'
import { linear, type Linear } from '../../../dsl/nn/index.ts'

type Net = { readonly first: Linear<24, 64>; readonly second: Linear<64, 24> }
type State = { readonly params: Net; readonly optimizer: AdamState<Net> }

const net = (p: Net, x: Vec<24>): Vec<24> => linear(p.second, tanh(linear(p.first, x)))
const loss = (p: Net, x: Tensor<[96, 24]>) => mean(vmap(x, one => mean(square(sub(net(p, one), one)))))

export const step = program((state: State, x: Tensor<[96, 24]>, key: Key) => {
  const { value, grad } = valueAndGrad(loss)(state.params, add(x, mul(0.1, randomNormal(key, [96, 24]))))
  const { params, state: optimizer } = adamW(state.params, state.optimizer, grad, { learningRate: 0.01 })
  return { state: { params, optimizer }, loss: value }
})

/** The optimiser's state before the first step. */
export const fresh = program((params: Net) => ({ params, optimizer: adamInit(params) }))

export const recurrence = program((p: Net, h: Tensor<[96, 24]>, xs: Tensor<[12, 96, 24]>) =>
  scan(h, xs, (before, x) => {
    const after = vmap({ before, x }, one => tanh(add(net(p, one.before), one.x)))
    return [after, sum(after, 1)]
  }))

export const chain = program((x: Vec<40000>) => {
  const y = exp(mul(tanh(square(add(x, 1))), 0.5))
  return { y, total: sum(y) }
})
