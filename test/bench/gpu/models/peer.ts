/**
 * What the PyTorch version of VDSM is checked against: both stages with the noise given from outside, their gradients and whole training
 * steps, at the sizes of `tiny`, under the options of `tiny` and of the paper (one part in a group, fixed priors, another transition).
 */
import { adam, clipByGlobalNorm, program, type AdamState, type Scalar } from '../../../../dsl/index.ts'
import { paperSprites, tiny, type Options } from '../../../../models/vdsm/config.ts'
import * as frames from '../../../../models/vdsm/frames/objective.ts'
import { programs as framePrograms, type Batch, type BatchNoise } from '../../../../models/vdsm/frames/programs.ts'
import * as video from '../../../../models/vdsm/video/objective.ts'
import { programs as videoPrograms, type BatchNoise as VideoNoise } from '../../../../models/vdsm/video/programs.ts'

type State<P> = { readonly params: P; readonly optimizer: AdamState<P> }

/** One step of stage 1, as trainStep makes it but for the noise and the limit of the gradient's norm, which are given. */
const frameStep = (o: Options) => {
  const gradient = frames.gradient(o)
  return (state: State<frames.Params>, x: Batch, eps: BatchNoise, schedule: frames.Annealing, learningRate: Scalar, limit: Scalar) => {
    const { value: [, metrics], grad } = gradient(state.params, x, eps, schedule)
    const { grads, norm } = clipByGlobalNorm(grad, limit)
    const next = adam(state.params, state.optimizer, grads, { learningRate })
    return { metrics, norm, grad, state: { params: next.params, optimizer: next.state } }
  }
}

/** The same of stage 2. */
const videoStep = (o: Options) => {
  const gradient = video.gradient(o)
  return (state: State<video.Trained>, frozen: video.Frozen, x: Batch, eps: VideoNoise, schedule: video.Annealing, learningRate: Scalar, limit: Scalar) => {
    const { value: [, metrics], grad } = gradient(state.params, frozen, x, eps, schedule)
    const { grads, norm } = clipByGlobalNorm(grad, limit)
    const next = adam(state.params, state.optimizer, grads, { learningRate })
    return { metrics, norm, grad, state: { params: next.params, optimizer: next.state } }
  }
}

const tinyFrames = { ...tiny.sizes, ...tiny.frames } as const
const tinyVideo = { ...tiny.sizes, ...tiny.video } as const
export const tinyFramesInit = program(framePrograms(tiny.options).init, tiny.sizes)
export const tinyFramesStep = program(frameStep(tiny.options), tinyFrames)
export const tinyVideoInit = program(videoPrograms(tiny.options).init, tiny.sizes)
export const tinyVideoStep = program(videoStep(tiny.options), tinyVideo)

const paperFrames = { ...tiny.sizes, B: 3, P: 1, T: 4 } as const
const paperVideo = { ...tiny.sizes, B: 2, P: 1, T: 5 } as const
export const paperFramesInit = program(framePrograms(paperSprites.options).init, tiny.sizes)
export const paperFramesStep = program(frameStep(paperSprites.options), paperFrames)
export const paperVideoInit = program(videoPrograms(paperSprites.options).init, tiny.sizes)
export const paperVideoStep = program(videoStep(paperSprites.options), paperVideo)
