/** Programs whose times are compared with other libraries or with the machine: products, a convolution, a VAE step, an LSTM, single passes over memory. */
import { abs, add, exp, maximum, minimum, mul, neg, relu, square, sub } from '../../../dsl/index.ts'
import { conv2d, flatten, grad, logSumExp, matmul, mean, reshape, softmax, sum, valueAndGrad, vmap } from '../../../dsl/index.ts'
import { program, type Scalar, type Tensor, type Vec } from '../../../dsl/index.ts'
import { conv, convTranspose, linear, lstm, lstmZero, type Conv, type ConvT, type Linear, type Lstm } from '../../../dsl/nn/index.ts'
import { adam, type AdamState } from '../../../dsl/optim.ts'
import { bernoulli, logProb } from '../../../dsl/prob/index.ts'

export const matmul1024 = program((a: Tensor<[1024, 1024]>, b: Tensor<[1024, 1024]>) => matmul(a, b))
/** For GPUs, which a smaller product does not fill. */
export const matmul4096 = program((a: Tensor<[4096, 4096]>, b: Tensor<[4096, 4096]>) => matmul(a, b))
/** The same added to a state, as training steps are: for such programs devices choose among several kernels, those on tensor cores as well. */
export const matmul4096Sum = program((state: { readonly c: Tensor<[4096, 4096]> }, a: Tensor<[4096, 4096]>, b: Tensor<[4096, 4096]>) =>
  ({ state: { c: add(state.c, matmul(a, b)) } }), {}, { updates: 'state' })

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

/** Ten operations on every one of four million numbers: at best one pass over memory. */
export const chain10 = program((x: Vec<4194304>) => abs(minimum(add(neg(mul(maximum(sub(square(add(mul(x, 1.01), 0.5)), 0.3), 0), 0.7)), 0.2), 4)))

/** Rows as a classifier has them: probabilities and the logarithm of their normaliser. */
export const softmaxRows = program((x: Tensor<[4096, 1000]>) => vmap(x, row => ({ p: softmax(row), normaliser: logSumExp(row) })))

type Layer = Lstm<64, 256>
/** An LSTM layer over 16 steps of a batch of 32, with the gradients of everything that it has. */
export const lstmBackward = program((p: Layer, xs: Tensor<[32, 16, 64]>, ys: Tensor<[32, 16, 256]>) =>
  valueAndGrad((q: { readonly p: Layer; readonly xs: Tensor<[32, 16, 64]> }) =>
    mean(vmap({ xs: q.xs, ys }, one => mean(square(sub(lstm(q.p, lstmZero(256), one.xs).outputs, one.ys))))))({ p, xs }))
