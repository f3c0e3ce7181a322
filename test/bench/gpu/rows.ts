/** What is measured on a GPU: yardsticks and training steps, each with its peer, and what stands in for it in a trial on a software adapter. */
import type { ConfigName } from '../../../models/vdsm/config.ts'

export type Yardstick = {
  readonly kind: 'yardstick'
  readonly name: string
  readonly what: string
  readonly program: string
  /** A program of the same kind, small enough for a trial; null where there is none. */
  readonly trial: string | null
  /** The yardstick that PyTorch is measured with. */
  readonly peer: string
}

export type Steps = {
  readonly kind: 'steps'
  readonly name: string
  readonly what: string
  readonly config: ConfigName
  readonly stage: 'frames' | 'video'
}

export type Row = Yardstick | Steps

const yardstick = (name: string, what: string, trial: string | null, peer = name): Yardstick =>
  ({ kind: 'yardstick', name, what, program: `yardsticks/${name}`, trial, peer })
const steps = (config: ConfigName, stage: Steps['stage']): Steps =>
  ({ kind: 'steps', name: `${config}/${stage}`, what: `training step of \`${config}\`, stage ${stage === 'frames' ? 1 : 2}`, config, stage })

/** The most telling first: a limit of time may cut the rest off. */
export const rows: readonly Row[] = [
  steps('paper-sprites', 'frames'),
  steps('paper-sprites', 'video'),
  yardstick('matmul4096', 'matmul 4096', 'trial/matmul96'),
  yardstick('matmul4096Sum', 'matmul 4096 added to a state, as steps are (torch: the product alone)', null, 'matmul4096'),
  yardstick('matmul1024', 'matmul 1024', 'trial/matmul96'),
  yardstick('convForward', 'convolution 32 x 32x32x32 to 64 channels, 4x4, stride 2', 'trial/convForward'),
  yardstick('convBackward', 'the same with both gradients', 'trial/convBackward'),
  yardstick('vaeStep', 'VAE training step, batch 32 of 64x64', null),
  steps('small', 'frames'),
  steps('small', 'video'),
  steps('paper-mug', 'frames'),
  steps('paper-mug', 'video'),
]

/** Sources that have to be compiled for some training steps. */
export const sourcesOf = (chosen: readonly Row[], trial: boolean): readonly string[] =>
  [...new Set(chosen.flatMap(row => (row.kind === 'steps' ? [`models/vdsm/${trial ? 'tiny' : row.config}`] : [])))]

/**
 * f32 operations per second of the processor's ordinary units, in TFLOP/s, by the maker's data: units x 2 x highest clock. Of
 * H100 and H200 (SXM) that is 66.9; under load they clock lower, and about 60 is what can be had.
 */
export const peakOf = (device: string): number | null => (/\bH[12]00\b/.test(device) ? 60 : null)
