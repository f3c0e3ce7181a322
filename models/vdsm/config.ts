/**
 * The sizes and options of VDSM. Sizes are bound to the names of the model's dims by `program(fn, sizes)`; options are
 * static choices, one for each place where the paper and its published code differ or where initialisation matters.
 */

/** Dims of the model by name. Every function of the model is written against these names. */
export type Sizes = {
  /** Groups of one identity in a batch. */
  readonly B: number
  /** Frames in a group. */
  readonly T: number
  /** Pose, per frame. */
  readonly Z: number
  /** Identity, per group; also the number of experts in the decoder bank. */
  readonly S: number
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
}

export type Options = {
  /** Slope of LeakyReLU. (The published encoder passes 1 by mistake, which makes it linear.) */
  readonly slope: number
  /** Standard deviation of p(s). Eq. 1 has variance 1/S, the code deviation 1/S; 1 trains as well and is the default here. */
  readonly priorS: 'one' | 'varianceOverS' | 'deviationOverS'
  /** What the decoder sees beside z: s itself (the paper) or its softmax (the published code). */
  readonly decoderInput: 's' | 'mixture'
  /** What is averaged over the frames of a group: the embedding before the head (Eq. 2) or the head's outputs (the code). */
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
  /** Gradients are scaled down to this global norm where they exceed it (of the loss in nats per frame). */
  readonly clipNorm: number
}

export type Config = { readonly sizes: Sizes; readonly options: Options }

const options = {
  slope: 0.01,
  priorS: 'one',
  decoderInput: 's',
  staticMean: 'embedding',
  input: { shift: 0, scale: 8 },
  start: { gainS: 8, gainZ: 2, scaleS: 0.7, scaleZ: 0.7, shared: 0.5, logit: -2.5 },
  clipNorm: 1000,
} as const satisfies Options

/** For tests: one eager step takes a second or two. */
export const tiny = {
  sizes: { B: 2, T: 2, Z: 3, S: 2, C1: 2, C2: 2, C3: 3, C4: 4, F: 6, E: 5, G1: 4, G2: 3, G3: 3, G4: 2 },
  options,
} as const satisfies Config

/** For a laptop's CPU: 2.0 million parameters, 9 GFLOP a training step. */
export const small = {
  sizes: { B: 16, T: 8, Z: 24, S: 12, C1: 8, C2: 16, C3: 32, C4: 64, F: 128, E: 64, G1: 96, G2: 48, G3: 24, G4: 12 },
  options,
} as const satisfies Config

/** The paper's sizes for Sprites, stage 1: 134 million parameters, nearly all of them in the bank. */
export const paper = {
  sizes: { B: 20, T: 16, Z: 30, S: 40, C1: 32, C2: 32, C3: 64, C4: 64, F: 256, E: 128, G1: 512, G2: 256, G3: 128, G4: 64 },
  // p(s) is narrow here (deviation 0.16), so s starts narrow as well.
  options: { ...options, priorS: 'varianceOverS', start: { ...options.start, gainS: 1, scaleS: 0.15 } },
} as const satisfies Config
