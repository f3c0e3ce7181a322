/**
 * The grid of swaps while the model learns: cell (i, j) shows the identity of the frame at the left of row i in the pose of
 * the frame above column j, decode(s of i, z of j).
 */
import { sizeOfShape, type Executable, type Trainer } from '../browser.ts'
import { COLUMNS, ROWS } from './data.ts'
import type { Pictures } from './messages.ts'

const SIDE = 64
const PLANE = SIDE * SIDE
const FRAME = 3 * PLANE

export type Swapper = {
  /** The frames that give identities and poses, before anything has been learnt. */
  readonly blank: Pictures
  /** What the model, as it is now, makes of them. */
  readonly draw: (trainer: Trainer, temperature: number) => Promise<Pictures>
}

/** Row and frame that give the pose of column j: another row each, at places spread over the frames. */
const poseOf = (j: number, frames: number): { readonly row: number; readonly frame: number } =>
  ({ row: ROWS - 1 - (j % ROWS), frame: (j * 5 + (frames >> 1)) % frames })

const byte = (value: number): number => Math.round(255 * Math.min(1, Math.max(0, value)))

/** Writes planar [3, 64, 64] values in [0, 1] as RGBA picture number `at`. */
const paint = (pixels: Uint8ClampedArray, at: number, frame: Float32Array): void => {
  for (let i = 0; i < PLANE; i++) {
    const to = (at * PLANE + i) * 4
    for (let c = 0; c < 3; c++) pixels[to + c] = byte(frame[c * PLANE + i] ?? 0)
    pixels[to + 3] = 255
  }
}

const f32 = async (program: Executable, ...paths: readonly string[]): Promise<readonly Float32Array[]> =>
  (await program.read(paths)).map(array => (array instanceof Float32Array ? array : Float32Array.from(array)))

const sizeOfInput = (program: Executable, path: string): number => sizeOfShape(program.program.inputs.find(slot => slot.path === path)?.shape ?? [])

/** `videos`: for each row, [frames, 3, 64, 64]. The programs are loaded when they are first needed. */
export const swapper = (videos: readonly Float32Array[], load: (name: 'encode' | 'decode') => Promise<Executable>): Swapper => {
  const frames = (videos[0]?.length ?? 0) / FRAME
  const poses = Array.from({ length: COLUMNS }, (_, j) => poseOf(j, frames))
  const frameOf = (row: number, t: number): Float32Array => videos[row]?.subarray(t * FRAME, (t + 1) * FRAME) ?? new Float32Array(FRAME)
  const inputs = (count: number): Uint8ClampedArray<ArrayBuffer> => {
    const pixels = new Uint8ClampedArray(count * PLANE * 4)
    poses.forEach(({ row, frame }, j) => paint(pixels, j, frameOf(row, frame)))
    for (let row = 0; row < ROWS; row++) paint(pixels, COLUMNS + row, frameOf(row, 0))
    return pixels
  }
  const size = { side: SIDE, rows: ROWS, columns: COLUMNS }
  let loading: Promise<readonly [Executable, Executable]> | undefined

  const draw = async (trainer: Trainer, temperature: number): Promise<Pictures> => {
    loading ??= Promise.all([load('encode'), load('decode')])
    const [encode, decode] = await loading
    await trainer.give(encode, 'params')
    await trainer.give(decode, 'params')
    const step = trainer.steps()
    const latents = []
    for (const x of videos) {
      encode.set('x', x)
      encode.run()
      latents.push(f32(encode, 's.loc', 'z.loc'))
    }
    const read = await Promise.all(latents)
    const sizeZ = sizeOfInput(decode, 'z') / frames
    const mixed = new Float32Array(Math.ceil(COLUMNS / frames) * frames * sizeZ)
    poses.forEach(({ row, frame }, j) => mixed.set(read[row]?.[1]?.subarray(frame * sizeZ, (frame + 1) * sizeZ) ?? [], j * sizeZ))
    decode.set('temperature', [temperature])
    const pixels = inputs(COLUMNS + ROWS + ROWS * COLUMNS)
    for (let row = 0; row < ROWS; row++) {
      decode.set('s', read[row]?.[0] ?? [])
      for (let first = 0; first < COLUMNS; first += frames) {
        decode.set('z', mixed.subarray(first * sizeZ, (first + frames) * sizeZ))
        decode.run()
        const [means = new Float32Array()] = await f32(decode, '')
        for (let t = 0; t < Math.min(frames, COLUMNS - first); t++) {
          paint(pixels, COLUMNS + ROWS + row * COLUMNS + first + t, means.subarray(t * FRAME, (t + 1) * FRAME))
        }
      }
    }
    return { ...size, pixels, drawn: true, step }
  }
  return { blank: { ...size, pixels: inputs(COLUMNS + ROWS), drawn: false, step: 0 }, draw }
}
