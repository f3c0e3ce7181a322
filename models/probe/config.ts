/**
 * The sizes of the probes. They are fixed, so that one program serves every factor of every data set: features that are not
 * there are zeros, classes that are not there have no probability, and rows that are not there are not looked at.
 */

/** Features, classes, hidden units and rows of a batch, by the names of the programs' dims. */
export const sizes = { F: 64, C: 64, H: 128, N: 256 } as const
