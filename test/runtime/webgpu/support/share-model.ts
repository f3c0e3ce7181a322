/** A training step whose many arrays are laid out side by side, programs that use its parameters, a choice by any numbers, a product with tiles. */
import { adam, adamInit, gather, matmul, mean, program, square, sub, tanh, valueAndGrad, vmap, type AdamState, type Tensor, type Vec } from '../../../../dsl/index.ts'
import { linear, type Linear } from '../../../../dsl/nn/index.ts'

type Net = { readonly first: Linear<12, 20>; readonly second: Linear<20, 12>; readonly third: Linear<12, 6> }
type State = { readonly params: Net; readonly optimizer: AdamState<Net> }

const apply = (p: Net, x: Vec<12>): Vec<6> => linear(p.third, tanh(linear(p.second, tanh(linear(p.first, x)))))
const loss = (p: Net, x: Tensor<[16, 12]>, y: Tensor<[16, 6]>) => mean(vmap({ x, y }, one => mean(square(sub(apply(p, one.x), one.y)))))

export const start = program((params: Net) => ({ params, optimizer: adamInit(params) }))

export const trainStep = program((state: State, x: Tensor<[16, 12]>, y: Tensor<[16, 6]>) => {
  const { value, grad } = valueAndGrad(loss)(state.params, x, y)
  const next = adam(state.params, state.optimizer, grad, { learningRate: 0.01 })
  return { state: { params: next.params, optimizer: next.state }, metrics: { loss: value } }
}, {}, { updates: 'state' })

export const predict = program((params: Net, x: Tensor<[16, 12]>) => ({ y: vmap(x, one => apply(params, one)) }))

/** One row for each index; those beyond the ends are the first and the last row. */
export const choose = program((table: Tensor<[5, 3]>, indices: Tensor<[8], 'i32'>) => gather(table, indices))

/** Large enough for tiles in workgroup memory, which reductions have none of that may be rounded. */
export const multiply = program((a: Tensor<[32, 48]>, b: Tensor<[48, 32]>) => ({ y: matmul(a, b) }))
