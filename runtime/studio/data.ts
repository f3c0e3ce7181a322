/** The pictures on which the page's model is trained, and those of its grid of swaps: the embedded pendulum, drawn here. */
import type { DataSet } from '../data/dataset.ts'
import { pendulum } from '../data/pendulum.ts'
import type { View } from '../browser.ts'
import { sizeOfShape, type ProgramInfo } from '../browser.ts'

/** Identities in the rows of the grid, and poses in its columns. */
export const ROWS = 7
export const COLUMNS = 8

export const openPictures = (): DataSet => pendulum()

/** The frames of step `step` (counted from 0), written into the memory of x [B, P, T, 3, 64, 64]. */
export const batchInto = (data: DataSet, program: ProgramInfo, seed: number, step: number) => {
  const x = program.inputs.find(slot => slot.path === 'x')
  const [groups = 1, parts = 1, frames = 1] = x?.shape ?? []
  const spare = new Float32Array(sizeOfShape(x?.shape ?? []))
  return (into: View): void => {
    const target = into instanceof Float32Array ? into : spare
    data.batch({ split: 'train', groups, parts, frames, seed, step, into: target })
  }
}

/** Held-out frames [ROWS, frames, 3, 64, 64]: a row for each colour, in the order of the colours. */
export const heldOutFrames = (data: DataSet, frames: number, seed: number): readonly Float32Array[] => {
  const { x, labels } = data.batch({ split: 'heldOut', groups: ROWS, frames, seed, step: 0 })
  const size = x.length / ROWS
  return Array.from(labels.identity, (identity, group) => ({ identity, group })).sort((a, b) => a.identity - b.identity)
    .map(({ group }) => x.subarray(group * size, (group + 1) * size))
}
