/** The programs of one model configuration that a run uses. All but the training step are loaded when they are first needed: each holds memory of its own. */
import type { Executable } from '../executor.ts'

export type Load = () => Promise<Executable>

export type Programs = {
  /** (state, x, key, schedule) -> { state, metrics } */
  readonly trainStep: Executable
  /** key -> { params, optimizer }. Asked for once. */
  readonly init: Load
  /** (params, x) -> { s: { loc, scale }, z: { loc, scale } }. Pictures are drawn where both this and `decode` are there. */
  readonly encode?: Load
  /** (params, s, z, temperature) -> means */
  readonly decode?: Load
  /** (params, x, eps, temperature) -> the true bound and its parts, by standard normal noise eps. Held-out frames are judged where it is there. */
  readonly evaluate?: Load
}

/** Loads at the first call only. */
export const once = (load: Load): Load => {
  let loaded: Promise<Executable> | undefined
  return () => (loaded ??= load())
}
