/**
 * The sizes of the probes. They are fixed, so that one program serves every factor of a data set: features that are not there
 * are zeros, classes that are not there have no probability. The smaller probes take a third of the time.
 */

/** Features, classes, hidden units and rows of a batch, by the names of the programs' dims. */
export const sizes = {
  small: { F: 32, C: 16, H: 128, N: 256 },
  large: { F: 64, C: 64, H: 128, N: 256 },
} as const
export type ProbeSize = keyof typeof sizes
