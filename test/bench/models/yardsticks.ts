/** Programs whose times are compared with other libraries: a matrix product, a convolution with its gradients, a VAE training step. */
import { add, conv2d, exp, flatten, grad, matmul, mean, mul, relu, reshape, square, sub, sum, valueAndGrad, vmap } from '../../../dsl/index.ts'
import { program, type Scalar, type Tensor, type Vec } from '../../../dsl/index.ts'
import { conv, convTranspose, linear, type Conv, type ConvT, type Linear } from '../../../dsl/nn/index.ts'
import { adam, type AdamState } from '../../../dsl/optim.ts'
import { bernoulli, logProb } from '../../../dsl/prob/index.ts'

export const matmul1024 = program((a: Tensor<[1024, 1024]>, b: Tensor<[1024, 1024]>) => matmul(a, b))

type Images = Tensor<[32, 32, 32, 32]>
const down = { stride: 2, padding: 1 } as const
const convolve = (w: Tensor<[64, 32, 4, 4]>, xs: Images) => vmap(xs, x => conv2d(x, w, down))
export const convForward = program(convolve)
/** Forward, input gradient and weight gradient, for a given cotangent. */
export const convBackward = program((w: Tensor<[64, 32, 4, 4]>, xs: Images, ct: Tensor<[32, 64, 16, 16]>) => ({
  y: convolve(w, xs),
  d: grad((p: { w: Tensor<[64, 32, 4, 4]>; xs: Images }) => sum(mul(convolve(p.w, p.xs), ct)))({ w, xs }),
}))

type Vae = {
  readonly e1: Conv<3, 32, 4>; readonly e2: Conv<32, 64, 4>; readonly e3: Conv<64, 128, 4>
  readonly loc: Linear<8192, 32>; readonly logVariance: Linear<8192, 32>
  readonly d0: Linear<32, 8192>
  readonly d1: ConvT<128, 64, 4>; readonly d2: ConvT<64, 32, 4>; readonly d3: ConvT<32, 3, 4>
}

const lossOf = (p: Vae, x: Tensor<[3, 64, 64]>, eps: Vec<32>): Scalar => {
  const h = flatten(relu(conv(p.e3, relu(conv(p.e2, relu(conv(p.e1, x, down)), down)), down)))
  const loc = linear(p.loc, h)
  const logVariance = linear(p.logVariance, h)
  const z = add(loc, mul(exp(mul(0.5, logVariance)), eps))
  const g = reshape(relu(linear(p.d0, z)), [128, 8, 8])
  const logits = convTranspose(p.d3, relu(convTranspose(p.d2, relu(convTranspose(p.d1, g, down)), down)), down)
  const kl = mul(0.5, sum(sub(add(square(loc), exp(logVariance)), add(1, logVariance))))
  return sub(kl, sum(logProb(bernoulli(logits), x)))
}

export const vaeStep = program((params: Vae, optimizer: AdamState<Vae>, x: Tensor<[32, 3, 64, 64]>, eps: Tensor<[32, 32]>) => {
  const { value, grad: gradient } = valueAndGrad((p: Vae) => mean(vmap({ x, eps }, one => lossOf(p, one.x, one.eps))))(params)
  return { loss: value, ...adam(params, optimizer, gradient, { learningRate: 1e-3 }) }
})
