/**
 * The sizes and options of VDSM. Sizes are bound to the names of the model's dims by `program(fn, sizes)`; options are
 * static choices, one for each place where the paper and its published code differ or where initialisation matters.
 */

/** Dims of the model by name, but for those of a batch. Every function of the model is written against these names. */
export type Sizes = {
  /** Pose, per frame. */
  readonly Z: number
  /** Identity, per group; also the number of experts in the decoder bank. */
  readonly S: number
  /** Dynamics, per clip. */
  readonly D: number
  /** Channels of the encoder's four blurred convolutions. */
  readonly C1: number
  readonly C2: number
  readonly C3: number
  readonly C4: number
  /** Features of a frame: what the encoder's last convolution leaves. */
  readonly F: number
  /** Hidden units of the identity embedding. */
  readonly E: number
  /** Channels of the decoder's transposed convolutions, from 4x4 to 32x32. */
  readonly G1: number
  readonly G2: number
  readonly G3: number
  readonly G4: number
  /** Layers of the LSTM that reads a video in both directions, and of the one that writes from d. */
  readonly L: number
  /** Hidden units of the LSTMs, and of the combiner. */
  readonly H: number
  /** Hidden units of the transition. */
  readonly R: number
}

/**
 * What a training step is given: B groups of one identity, P parts in each, T frames in a part. The identity of a part is
 * inferred from the NEXT part of its group, in a circle. With P = 1 that is the part itself, as the paper has it. With P = 2,
 * the parts showing different actions, s cannot help by saying what is done in its own part - and pays its divergence for
 * saying it. (Each term is a bound on the likelihood of its part: the posterior of s there is a function of other frames.)
 */
export type Grouping = { readonly B: number; readonly P: number; readonly T: number }

export type Options = {
  /** Slope of LeakyReLU. (The published encoder passes 1 by mistake, which makes it linear.) */
  readonly slope: number
  /**
   * Standard deviation of p(s): Eq. 1 has variance 1/S, the code deviation 1/S. Where it is learnt, location and scale of every
   * dimension are: what is drawn from p(s) then lies where the identities do.
   */
  readonly priorS: 'one' | 'varianceOverS' | 'deviationOverS' | 'learnt'
  /** What the decoder sees beside z: s itself (the paper) or its softmax (the published code). */
  readonly decoderInput: 's' | 'mixture'
  /** What is averaged over the frames of a part: the embedding before the head (Eq. 2) or the head's outputs (the code). */
  readonly staticMean: 'embedding' | 'head'
  /** Frames enter the encoder as (x - shift) * scale: dark frames must not start as a vanishing signal. */
  readonly input: { readonly shift: number; readonly scale: number }
  /** Starting values. */
  readonly start: {
    /** Gain of the last layer of q(s | x): decides how far s differs between identities before any training. */
    readonly gainS: number
    /** The same for q(z | x). */
    readonly gainZ: number
    /** Standard deviations of q(s | x) and q(z | x). */
    readonly scaleS: number
    readonly scaleZ: number
    /** Share of the bank's initial variance that all experts have in common. */
    readonly shared: number
    /** Bias of the last layer: the logit of a typical pixel. */
    readonly logit: number
  }
  /** Standard deviation of p(d): 1 in Eq. 1, 1/D in the code; learnt as that of p(s). */
  readonly priorD: 'one' | 'deviationOverD' | 'learnt'
  /** p(z_1): N(0, 1) in Eq. 1; or what the transition makes of a learnt pose z_0 under d, so that d says how a video begins. */
  readonly firstPose: 'standard' | 'transition'
  /** What f_5 of the transition sees: {z, d} (Eq. 6) or z alone (the code). Both start as the identity of z. */
  readonly transitionLinear: 'zd' | 'z'
  /**
   * Weight of KL(q(s | part) || q(s | next part)) in the loss, beside the bound; means nothing where P is 1. Two clips of one identity that
   * show different actions should say the same of it: this presses traces of the action below the noise of s.
   */
  readonly agreement: number
  /** Gradients are scaled down to this global norm where they exceed it (of the loss in nats per frame). */
  readonly clipNorm: number
}

/** Sizes, what stage 1 (frames) and stage 2 (video) are trained on, and options. A video has `video.T` frames wherever one is encoded or made. */
export type Config = { readonly sizes: Sizes; readonly frames: Grouping; readonly video: Grouping; readonly options: Options }

const options = {
  slope: 0.01,
  priorS: 'learnt',
  decoderInput: 's',
  staticMean: 'embedding',
  input: { shift: 0, scale: 8 },
  start: { gainS: 8, gainZ: 2, scaleS: 0.7, scaleZ: 0.7, shared: 0.5, logit: -2.5 },
  priorD: 'learnt',
  firstPose: 'transition',
  transitionLinear: 'z',
  agreement: 0.5,
  clipNorm: 1000,
} as const satisfies Options

/** For tests: one eager step takes a second or two. */
export const tiny = {
  sizes: { Z: 3, S: 2, D: 2, C1: 2, C2: 2, C3: 3, C4: 4, F: 6, E: 5, G1: 4, G2: 3, G3: 3, G4: 2, L: 2, H: 4, R: 3 },
  frames: { B: 2, P: 2, T: 2 },
  video: { B: 2, P: 2, T: 3 },
  options,
} as const satisfies Config

/** For a laptop's CPU: 2.0 million parameters in stage 1 and 0.6 million more in stage 2, 9 GFLOP a training step of stage 1. */
export const small = {
  sizes: { Z: 24, S: 12, D: 16, C1: 8, C2: 16, C3: 32, C4: 64, F: 128, E: 64, G1: 96, G2: 48, G3: 24, G4: 12, L: 1, H: 128, R: 128 },
  frames: { B: 16, P: 2, T: 4 },
  video: { B: 8, P: 2, T: 8 },
  options,
} as const satisfies Config

/** `small` on videos of 16 frames: the pendulum, moving MNIST, MUG. */
export const small16 = { ...small, video: { B: 4, P: 2, T: 16 } } as const satisfies Config

const paperSizes = { Z: 30, D: 50, C1: 32, C2: 32, C3: 64, C4: 64, F: 256, E: 128, G1: 512, G2: 256, G3: 128, G4: 64, L: 3, H: 512, R: 512 } as const
// Priors and transition of Eqs. 1 and 6. p(s) is narrow here (deviation 0.16), so s starts narrow as well.
const paperOptions = {
  ...options,
  priorS: 'varianceOverS',
  priorD: 'one',
  firstPose: 'standard',
  transitionLinear: 'zd',
  agreement: 0,
  start: { ...options.start, gainS: 1, scaleS: 0.15 },
} as const satisfies Options

/** The paper's sizes for Sprites: 134 million parameters in stage 1, nearly all of them in the bank, and 26 million more in stage 2. */
export const paperSprites = {
  sizes: { ...paperSizes, S: 40 },
  frames: { B: 20, P: 1, T: 16 },
  video: { B: 20, P: 1, T: 8 },
  options: paperOptions,
} as const satisfies Config

/** The paper's sizes for MUG: 47 million parameters in stage 1. */
export const paperMug = {
  sizes: { ...paperSizes, S: 15 },
  frames: { B: 20, P: 1, T: 20 },
  video: { B: 20, P: 1, T: 20 },
  options: paperOptions,
} as const satisfies Config

/** By name, as in the programs' ids. */
export const configs = {
  tiny, small, 'small-16': small16, 'paper-sprites': paperSprites, 'paper-mug': paperMug,
} as const satisfies Readonly<Record<string, Config>>
export type ConfigName = keyof typeof configs
