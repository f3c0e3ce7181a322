/**
 * Sprites: characters composed of Liberated Pixel Cup layers, 64 x 64, nine actions (spellcast, walk, slash; seen from the
 * left, the front, the right), eight frames each. An identity is one choice of body, shirt, pants and hair.
 *
 * The user supplies a folder with the sub-folders body/ pants/ shirt/ hair/, each holding PNG sheets. Layers are drawn in
 * that order on black when a frame is asked for; only the needed cells are kept in memory (1.2 MB a sheet). Held out: 10% of
 * the identities, drawn at random: with many of them every value of every factor is also seen in training, a held-out
 * combination never is. Arrays of videos with labels are read as well (labelled-arrays.ts).
 */
import { readdirSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { refuse } from '../../dsl/errors.ts'
import { makeDataSet, type DataSet } from './dataset.ts'
import { holdsArrays, labelledArrays } from './labelled-arrays.ts'
import { kindOf } from './places.ts'
import { CELL, CLASS_FRAMES, CLASSES, readSheet, type FrameChoice, type Sheet } from './sheets.ts'
import { FRAME, grid, SIDE, splitIndices } from './source.ts'

export type SpritesOptions = {
  /** Folder with body/ pants/ shirt/ hair/, or arrays: see labelled-arrays.ts. */
  readonly folder: string
  readonly frameChoice?: FrameChoice
  /** Share of the identities that is held out. */
  readonly heldOutShare?: number
  /** Decides which identities are held out. */
  readonly splitSeed?: number
}

/** In the order in which they are drawn. */
export const LAYERS = ['body', 'pants', 'shirt', 'hair'] as const
type Layer = (typeof LAYERS)[number]
type Wardrobe = Readonly<Record<Layer, { readonly names: readonly string[]; readonly sheets: readonly Sheet[] }>>

const LAYOUT = 'Give --data-dir a folder with the sub-folders body, pants, shirt and hair, each holding LPC sheets (PNG, 832 x 1344).'

/** Must stand beside pictures that show these characters or what a model learnt from them. */
export const CREDIT =
  'Character art: Liberated Pixel Cup and Universal LPC spritesheet contributors (base animations by Stephen Challener (Redshrike) and Johannes Sjolund; ' +
  'see the authors list that comes with the sheets). Licences: CC-BY-SA 3.0 and GNU GPL 3.0.'

const sheetsIn = (folder: string): readonly string[] => {
  const names = ((): readonly string[] => {
    try {
      return readdirSync(folder)
    } catch (error) {
      const message = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such folder' : `not a readable folder (${(error as Error).message})`
      return refuse({ kind: 'file', path: folder, message, remedy: LAYOUT })
    }
  })()
  return names.filter(name => extname(name).toLowerCase() === '.png').sort()
}

const readLayer = (folder: string, choice: FrameChoice): { names: readonly string[]; sheets: readonly Sheet[] } => {
  const files = sheetsIn(folder)
  if (files.length === 0) refuse({ kind: 'file', path: folder, message: 'the folder holds no PNG sheet', remedy: LAYOUT })
  return { names: files.map(name => basename(name, extname(name))), sheets: files.map(name => readSheet(join(folder, name), choice)) }
}

const readWardrobe = (folder: string, choice: FrameChoice): Wardrobe => {
  if (kindOf(folder) !== 'folder') {
    refuse({ kind: 'file', path: folder, message: 'there is no such folder', remedy: LAYOUT })
  }
  const layer = (name: Layer) => readLayer(join(folder, name), choice)
  return { body: layer('body'), pants: layer('pants'), shirt: layer('shirt'), hair: layer('hair') }
}

/** The value that each layer takes in an identity; identities count with hair fastest and body slowest. */
const choicesOf = (identity: number, sizes: Readonly<Record<Layer, number>>): Readonly<Record<Layer, number>> => {
  const hair = identity % sizes.hair
  const rest = Math.floor(identity / sizes.hair)
  const shirt = rest % sizes.shirt
  const more = Math.floor(rest / sizes.shirt)
  return { hair, shirt, pants: more % sizes.pants, body: Math.floor(more / sizes.pants) }
}

/** Lays cell `index` over the planar picture in `out`, weighted by its alpha. */
const over = ({ cells, boxes }: Sheet, index: number, out: Float32Array, offset: number): void => {
  const plane = SIDE * SIDE
  const [from, box] = [index * CELL, index * 4]
  const [bottom, right] = [boxes[box + 1] as number, boxes[box + 3] as number]
  for (let y = boxes[box] as number; y < bottom; y++) {
    for (let x = boxes[box + 2] as number; x < right; x++) {
      const pixel = y * SIDE + x
      const at = from + 4 * pixel
      const alpha = (cells[at + 3] as number) / 255
      if (alpha === 0) continue
      for (let c = 0; c < 3; c++) {
        const to = offset + c * plane + pixel
        out[to] = (out[to] as number) * (1 - alpha) + (alpha * (cells[at + c] as number)) / 255
      }
    }
  }
}

/** Opens the Sprites data set. Refuses missing or empty folders, unreadable PNGs and sheets of the wrong size, each by name. */
export const sprites = (options: SpritesOptions): DataSet => {
  const { folder, frameChoice, heldOutShare = 0.1, splitSeed = 0 } = options
  if (!LAYERS.some(layer => kindOf(join(folder, layer)) === 'folder') && holdsArrays(folder)) {
    if (frameChoice !== undefined) {
      refuse({ kind: 'usage', message: `--frame-choice means nothing to arrays, and ${folder} holds arrays`,
        remedy: 'Leave it out, or give --data-dir a folder of sheets.' })
    }
    return labelledArrays('sprites', folder, { heldOutShare, splitSeed, credit: CREDIT })
  }
  const wardrobe = readWardrobe(folder, frameChoice ?? 'paper')
  const sizes = { body: wardrobe.body.names.length, pants: wardrobe.pants.names.length, shirt: wardrobe.shirt.names.length, hair: wardrobe.hair.names.length }
  const count = sizes.body * sizes.pants * sizes.shirt * sizes.hair
  if (count < 2) {
    refuse({ kind: 'data', source: 'sprites', message: `${folder} makes only one identity; two are needed to hold one out`,
      remedy: 'Add a sheet to one of the layers.' })
  }
  return makeDataSet({
    ...grid(CLASSES.length, { train: [0], heldOut: [0] }, CLASS_FRAMES),
    name: 'sprites',
    factors: LAYERS.map(name => ({ name, values: wardrobe[name].names })),
    actions: CLASSES.map(({ name }) => name),
    identities: splitIndices(count, heldOutShare, splitSeed),
    factorsOf: identity => choicesOf(identity, sizes),
    credit: CREDIT,
    draw: (identity, action, _take, frame, out, offset) => {
      const choices = choicesOf(identity, sizes)
      out.fill(0, offset, offset + FRAME)
      for (const layer of LAYERS) over(wardrobe[layer].sheets[choices[layer]] as Sheet, action * CLASS_FRAMES + frame, out, offset)
    },
  })
}
