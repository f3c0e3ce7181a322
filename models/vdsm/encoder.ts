/** ENC: from one frame to its two embeddings, by four anti-aliased convolutions and one that takes what is left, 4 x 4, to 1 x 1. */
import { conv, linear, blurPool, type Conv, type Linear } from '../../dsl/nn/index.ts'
import { flatten, leakyRelu, mul, sub } from '../../dsl/index.ts'
import type { Tensor, Vec } from '../../dsl/tensor.ts'
import type { Options } from './config.ts'

export type Frame = Tensor<[3, 64, 64]>

export type Encoder = {
  readonly conv1: Conv<3, 'C1', 4>
  readonly conv2: Conv<'C1', 'C2', 4>
  readonly conv3: Conv<'C2', 'C3', 4>
  readonly conv4: Conv<'C3', 'C4', 4>
  readonly conv5: Conv<'C4', 'F', 4>
  readonly embed: Linear<'F', 'E'>
}

/** What is seen in a frame: e for identity, h for pose. */
export type Embeddings = { readonly e: Vec<'E'>; readonly h: Vec<'F'> }

const around = { padding: 1 } as const

/** (e_t, h_t) = ENC(x_t) of a frame with values in [0, 1]. Rows and columns: 64, 32, 16, 8, 4, 1. */
export const encoder = ({ slope, input }: Options, p: Encoder, frame: Frame): Embeddings => {
  const x = mul(sub(frame, input.shift), input.scale)
  const a = blurPool(leakyRelu(conv(p.conv1, x, around), slope))
  const b = blurPool(leakyRelu(conv(p.conv2, a, around), slope))
  const c = blurPool(leakyRelu(conv(p.conv3, b, around), slope))
  const d = blurPool(leakyRelu(conv(p.conv4, c, around), slope))
  const h = flatten(leakyRelu(conv(p.conv5, d), slope))
  return { e: leakyRelu(linear(p.embed, h), slope), h }
}
