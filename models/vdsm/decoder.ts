/**
 * DEC: a bank of S transposed-convolution decoders whose weights and biases are blended into ONE decoder per group of
 * frames, W = sum_k w_k W_k, by the mixture w that the identity s stands for.
 */
import { convTranspose, type ConvT } from '../../dsl/nn/index.ts'
import { concat, contract, leakyRelu, mul, reshape, softmax, vmap, type Batched } from '../../dsl/index.ts'
import { bernoulli, type Bernoulli } from '../../dsl/prob/index.ts'
import type { Scalar, Tensor, Vec } from '../../dsl/tensor.ts'
import type { Options } from './config.ts'

export type Decoder = {
  readonly layer1: ConvT<'S+Z', 'G1', 4>
  readonly layer2: ConvT<'G1', 'G2', 4>
  readonly layer3: ConvT<'G2', 'G3', 4>
  readonly layer4: ConvT<'G3', 'G4', 4>
  readonly layer5: ConvT<'G4', 3, 4>
}
/** S decoders, stacked. */
export type Bank = Batched<'S', Decoder>

/** s~ = softmax(s * temperature): weights over the bank, uniform where the temperature is low, one expert where it is high. */
export const mixture = (s: Vec<'S'>, temperature: Scalar): Vec<'S'> => softmax(mul(s, temperature))

const up = { stride: 2, padding: 1 } as const

/** The decoder of one group of frames. */
export const blended = (bank: Bank, w: Vec<'S'>): Decoder => ({
  layer1: { weight: contract('k,kioyx->ioyx', w, bank.layer1.weight), bias: contract('k,ko->o', w, bank.layer1.bias) },
  layer2: { weight: contract('k,kioyx->ioyx', w, bank.layer2.weight), bias: contract('k,ko->o', w, bank.layer2.bias) },
  layer3: { weight: contract('k,kioyx->ioyx', w, bank.layer3.weight), bias: contract('k,ko->o', w, bank.layer3.bias) },
  layer4: { weight: contract('k,kioyx->ioyx', w, bank.layer4.weight), bias: contract('k,ko->o', w, bank.layer4.bias) },
  layer5: { weight: contract('k,kioyx->ioyx', w, bank.layer5.weight), bias: contract('k,ko->o', w, bank.layer5.bias) },
})

/** p(x_t | s, z_t) of one frame; `who` is s or its mixture. Rows and columns: 1, 4, 8, 16, 32, 64. */
export const decoder = ({ slope }: Options, p: Decoder, who: Vec<'S'>, z: Vec<'Z'>): Bernoulli<[3, 64, 64]> => {
  const a = leakyRelu(convTranspose(p.layer1, reshape(concat(who, z), ['S+Z', 1, 1])), slope)
  const b = leakyRelu(convTranspose(p.layer2, a, up), slope)
  const c = leakyRelu(convTranspose(p.layer3, b, up), slope)
  const d = leakyRelu(convTranspose(p.layer4, c, up), slope)
  return bernoulli(convTranspose(p.layer5, d, up))
}

/** p(x_1:T | s, z_1:T): the frames of one identity, by its own decoder. */
export const frames = (o: Options, bank: Bank, temperature: Scalar, s: Vec<'S'>, z: Tensor<['T', 'Z']>): Bernoulli<['T', 3, 64, 64]> => {
  const w = mixture(s, temperature)
  const own = blended(bank, w)
  const who = o.decoderInput === 's' ? s : w
  return vmap(z, zt => decoder(o, own, who, zt))
}
