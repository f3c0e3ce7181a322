/** Yardsticks in sizes that a software adapter can bear: they show that the measurement works, and mean nothing besides. */
import { conv2d, grad, matmul, mul, program, sum, vmap, type Tensor } from '../../../../dsl/index.ts'

export const matmul96 = program((a: Tensor<[96, 96]>, b: Tensor<[96, 96]>) => matmul(a, b))

type Weights = Tensor<[8, 4, 4, 4]>
type Images = Tensor<[2, 4, 16, 16]>
const convolve = (w: Weights, xs: Images) => vmap(xs, x => conv2d(x, w, { stride: 2, padding: 1 }))
export const convForward = program(convolve)
export const convBackward = program((w: Weights, xs: Images, ct: Tensor<[2, 8, 8, 8]>) => ({
  y: convolve(w, xs),
  d: grad((p: { w: Weights; xs: Images }) => sum(mul(convolve(p.w, p.xs), ct)))({ w, xs }),
}))
