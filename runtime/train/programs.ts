/** The programs of one model configuration that a run uses. */
import type { Executable } from '../executor.ts'

export type Programs = {
  /** key -> { params, optimizer } */
  readonly init: Executable
  /** (state, x, key, schedule) -> { state, metrics } */
  readonly trainStep: Executable
  /** (params, x) -> { s: { loc, scale }, z: { loc, scale } }. Pictures are drawn where both this and `decode` are there. */
  readonly encode?: Executable
  /** (params, s, z, temperature) -> means */
  readonly decode?: Executable
}
