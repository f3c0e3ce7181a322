/** The programs of one stage that a run uses. All but the training step are loaded when they are first needed: each holds memory of its own. */
import type { Executable } from '../executor.ts'

export type Load = () => Promise<Executable>

/** The programs of which pictures are made: of stage 1 where `encode` and `decode` are there, of stage 2 where all four are. */
export const PICTURE_PROGRAMS = { 1: ['encode', 'decode'], 2: ['encode', 'decode', 'generate', 'continuation'] } as const
export type PictureProgram = (typeof PICTURE_PROGRAMS)[1 | 2][number]

export type Programs = {
  /** (state, [frozen,] x, key, schedule) -> { state, metrics } */
  readonly trainStep: Executable
  /** key -> { params, optimizer }, the state of the training step. Asked for once. */
  readonly init: Load
  /** (params, x, eps, temperature) -> the true bound and its parts, by standard normal noise eps. Held-out frames are judged where it is there. */
  readonly evaluate?: Load
  /** The training step on another device, to check this one by. */
  readonly reference?: Load
  /** Gives back the memory of all that was loaded; nothing of it can be used afterwards. */
  readonly release?: () => void
} & { readonly [K in PictureProgram]?: Load }

/** Programs of more memory than this are let go when nobody uses them, and loaded again. */
const KEPT_BYTES = 2 ** 28

/** Loads at the first call only, as far as what was loaded is small enough to be kept. */
export const once = (load: Load): Load => {
  let kept: Promise<Executable> | undefined
  let large: WeakRef<Executable> | undefined
  return () => {
    const known = large?.deref()
    if (known !== undefined) return Promise.resolve(known)
    const loading = kept ?? load()
    kept = loading
    return loading.then(program => {
      if (program.memoryBytes > KEPT_BYTES) [kept, large] = [undefined, new WeakRef(program)]
      return program
    })
  }
}
