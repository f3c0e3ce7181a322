/** What the browser runs: a small gradient step with random numbers of its own, and three of VDSM's programs at their tiny size. */
import { add, grad, mean, mul, program, randomNormal, relu, softmax, square, sub, vmap, type Key, type Tensor, type Vec } from '../../dsl/index.ts'
import { linear, type Linear } from '../../dsl/nn/index.ts'
import { tiny } from '../../models/vdsm/config.ts'
import { programs } from '../../models/vdsm/frames/programs.ts'

type Mlp = { readonly l1: Linear<5, 7>; readonly l2: Linear<7, 3> }

const mlp = (p: Mlp, x: Vec<5>): Vec<3> => softmax(linear(p.l2, relu(linear(p.l1, x))))
const loss = (p: Mlp, x: Tensor<[11, 5]>, y: Tensor<[11, 3]>) => mean(vmap({ x, y }, one => mean(square(sub(mlp(p, one.x), one.y)))))

export const step = program((p: Mlp, x: Tensor<[11, 5]>, y: Tensor<[11, 3]>, key: Key) => {
  const noisy = add(x, mul(0.1, randomNormal(key, [11, 5])))
  return { noisy, value: loss(p, noisy, y), gradient: grad((q: Mlp) => loss(q, noisy, y))(p) }
})

/** Simple enough to check by hand. */
export const double = program((x: Vec<3>) => add(x, x))

const vdsm = programs(tiny.options)
const inference = { ...tiny.sizes, T: tiny.video.T } as const
export const encode = program(vdsm.encode, inference)
export const decode = program(vdsm.decode, inference)
export const trainStep = program(vdsm.trainStep, { ...tiny.sizes, ...tiny.frames })
