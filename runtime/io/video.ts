/**
 * Videos from files, whatever they come as: an animated GIF, a folder of PNGs in natural order, one PNG, or an array of
 * NumPy's. What a file is, is told by its first bytes. Refusals name what was found and what to do.
 */
import * as E from 'fp-ts/lib/Either.js'
import { PNG } from 'pngjs'
import { readdirSync, statSync } from 'node:fs'
import { basename, dirname, extname, join } from 'node:path'
import { refuse } from '../../dsl/errors.ts'
import { familyOf, type FileArray } from './element.ts'
import { readBytesNow } from './files.ts'
import { parseGif } from './gif-reader.ts'
import { parseNpy } from './npy.ts'
import { parseNpz } from './npz.ts'

/** RGB bytes, [frames, height, width, 3]; at least one frame and one pixel. */
export type Video = { readonly frames: number; readonly height: number; readonly width: number; readonly data: Uint8Array }

const KINDS = 'A video is a GIF, a folder of PNGs, one PNG, or an .npy or .npz array: '
  + 'uint8 [T, H, W, 3] or [T, H, W] or (one frame) [H, W, 3], or float in [0, 1] as [T, 3, H, W].'
/** The most numbers that a video may have: a gibibyte of bytes. */
const MOST = 2 ** 30

const bad = (path: string, message: string, remedy = KINDS): never => refuse({ kind: 'file', path, message, remedy })

const checkSize = (path: string, frames: number, height: number, width: number): void => {
  if (frames * height * width * 3 <= MOST) return
  refuse({ kind: 'limit', what: path,
    message: `${frames} frames of ${width} x ${height} are ${(frames * height * width * 3 / 2 ** 30).toFixed(1)} GiB; 1 GiB is the most that is read`,
    remedy: 'Use fewer or smaller frames.' })
}

const startsWith = (bytes: Uint8Array, magic: readonly number[]): boolean => magic.every((byte, i) => bytes[i] === byte)
const PNG_MAGIC = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a] as const

/** What else a file may be, for the message. */
const otherKinds: readonly (readonly [name: string, at: number, magic: string])[] = [
  ['a JPEG picture', 0, '\xff\xd8\xff'], ['an MP4 or QuickTime film', 4, 'ftyp'], ['an AVI film or a WebP picture', 0, 'RIFF'],
  ['a Matroska or WebM film', 0, '\x1a\x45\xdf\xa3'], ['a safetensors or JSON file', 8, '{'], ['a BMP picture', 0, 'BM'],
]

const pixelsOf = (path: string, bytes: Uint8Array): PNG => {
  if (bytes.length >= 24) {
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    checkSize(path, 1, view.getUint32(20), view.getUint32(16))
  }
  try {
    return PNG.sync.read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    const fault = /finished stream|unexpected end|content at end/i.test(text) ? 'it is cut off' : text
    return bad(path, `not a readable PNG (${fault})`, 'Write it again, or take it out of the folder.')
  }
}

/** RGB over black. */
const overBlack = ({ data }: PNG): Uint8Array => {
  const out = new Uint8Array((data.length / 4) * 3)
  for (let i = 0; i < out.length; i++) {
    const at = Math.floor(i / 3) * 4
    out[i] = Math.round(((data[at + (i % 3)] ?? 0) * (data[at + 3] ?? 0)) / 255)
  }
  return out
}

const fromPng = (path: string, bytes: Uint8Array): Video => {
  const png = pixelsOf(path, bytes)
  return { frames: 1, height: png.height, width: png.width, data: overBlack(png) }
}

/** Numbers within names count as numbers: frame9 comes before frame10. Otherwise by code unit, the same everywhere. */
export const naturally = (a: string, b: string): number => {
  const parts = (text: string): readonly string[] => text.match(/\d+|\D+/g) ?? []
  const [left, right] = [parts(a), parts(b)]
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const [l = '', r = ''] = [left[i], right[i]]
    const numbers = /^\d/.test(l) && /^\d/.test(r)
    const [x, y] = numbers ? [l.replace(/^0+(?=\d)/, ''), r.replace(/^0+(?=\d)/, '')] : [l, r]
    if (numbers && x.length !== y.length) return x.length - y.length
    if (x !== y) return x < y ? -1 : 1
  }
  return left.length - right.length || (a < b ? -1 : a > b ? 1 : 0)
}

const isPng = (name: string): boolean => /\.png$/i.test(name) && !name.startsWith('.')

const namesIn = (path: string): readonly string[] => {
  try {
    return readdirSync(path)
  } catch (error) {
    return bad(path, `the folder cannot be read (${error instanceof Error ? error.message : String(error)})`)
  }
}

const isFilm = (name: string): boolean => /\.(mp4|m4v|mov|avi|webm|mkv)$/i.test(name)

const ffmpeg = (film: string, to: string): string => `ffmpeg -i '${film}' -vf fps=8 '${to}'`
const toGif = (film: string): string => `A film becomes a GIF with: ${ffmpeg(film, `${film.replace(/\.\w+$/, '')}.gif`)}`

/** How files in a folder that are not read become ones that are: a film a GIF, or PNGs in that folder; pictures PNGs. Nothing for other files. */
export const conversionOf = (folder: string, names: readonly string[], film: 'GIF' | 'PNGs'): string | undefined => {
  const [moving, still] = [names.find(isFilm), names.find(name => /\.(jpe?g|webp|bmp|tiff?)$/i.test(name))]
  if (moving !== undefined) {
    return film === 'GIF' ? toGif(join(folder, moving)) : `A film becomes frames with: ${ffmpeg(join(folder, moving), join(folder, 'frame%04d.png'))}`
  }
  return still === undefined ? undefined : `Pictures become PNGs with ImageMagick: mogrify -format png '${join(folder, `*${extname(still)}`)}'`
}

const lines = (...all: readonly (string | undefined)[]): string => all.filter(line => line !== undefined).join('\n  ')

const fromFolder = (path: string): Video => {
  const names = namesIn(path)
  const files = names.filter(isPng).sort(naturally)
  const [first] = files
  if (first === undefined) {
    const others = [...names].sort(naturally)
    return bad(path, names.length === 0 ? 'the folder is empty'
      : `the folder holds no PNG, but ${names.length === 1 ? names[0] : `${names.length} other files, such as ${others[0]}`}`,
    lines(KINDS, conversionOf(path, others, 'PNGs')))
  }
  const frames = files.map((name, i) => {
    if (isFolder(join(path, name))) bad(join(path, name), 'it is a folder, not a PNG', 'Rename it, or take it out of the folder.')
    const frame = fromPng(join(path, name), readBytesNow(join(path, name)))
    checkSize(path, i + 1, frame.height, frame.width)
    return frame
  })
  const { height, width } = frames[0] ?? { height: 0, width: 0 }
  const data = new Uint8Array(frames.length * height * width * 3)
  frames.forEach((frame, i) => {
    if (frame.height !== height || frame.width !== width) {
      bad(path, `its frames differ in size: ${first} is ${width} x ${height}, ${files[i]} is ${frame.width} x ${frame.height}`,
        'All frames of a video have one size: crop or resize them.')
    }
    data.set(frame.data, i * height * width * 3)
  })
  return { frames: frames.length, height, width, data }
}

type Layout = { readonly frames: number; readonly height: number; readonly width: number; readonly at: (t: number, y: number, x: number, c: number) => number }

/**
 * How an array's axes are meant, or nothing where it cannot be a video. Three axes are grey frames, or one frame where the last
 * axis is of 3 colours. Real numbers have their channels in front by preference, bytes behind. */
const layoutOf = ({ shape, element }: FileArray): Layout | undefined => {
  const [frames = 0, b = 0, c = 0, d = 0] = shape
  if (shape.length === 3 && c === 3) return { frames: 1, height: frames, width: b, at: (_, y, x, k) => (y * b + x) * 3 + k }
  if (shape.length === 3) return { frames, height: b, width: c, at: (t, y, x) => (t * b + y) * c + x }
  if (shape.length !== 4) return undefined
  const front: Layout = { frames, height: c, width: d, at: (t, y, x, k) => ((t * 3 + k) * c + y) * d + x }
  const behind: Layout = { frames, height: b, width: c, at: (t, y, x, k) => ((t * b + y) * c + x) * 3 + k }
  const order = familyOf[element] === 'float' ? ([[b, front], [d, behind]] as const) : ([[d, behind], [b, front]] as const)
  return order.find(([channels]) => channels === 3)?.[1]
}

const typeOf = ({ shape, element }: FileArray): string => `${element} [${shape.join(', ')}]`
const isPixels = ({ element }: FileArray): boolean => element === 'uint8' || familyOf[element] === 'float'
const fits = (array: FileArray): boolean => isPixels(array) && layoutOf(array) !== undefined

const fromArray = (path: string, name: string, array: FileArray): Video => {
  const where = name === '' ? 'the array' : `array ${JSON.stringify(name)}`
  const layout = layoutOf(array)
  if (layout === undefined) {
    const several = array.shape.length === 5 && layoutOf({ ...array, shape: array.shape.slice(1) }) !== undefined
    return bad(path, `${where} is ${typeOf(array)}, which is ${several ? `${array.shape[0] ?? 0} videos` : 'no video'}`,
      several ? 'Save one of them, e.g. numpy.save(path, x[0]).' : KINDS)
  }
  if (!isPixels(array)) return bad(path, `${where} is ${typeOf(array)}`, 'Pixels are bytes or real numbers in [0, 1]: convert it, e.g. .astype(numpy.uint8).')
  const { frames, height, width } = layout
  if (frames * height * width === 0) return bad(path, `${where} is ${typeOf(array)}: it holds ${frames === 0 ? 'no frames' : 'no pixels'}`)
  checkSize(path, frames, height, width)
  const real = familyOf[array.element] === 'float'
  const outside = real ? array.data.findIndex((v: number) => !(v >= 0 && v <= 1)) : -1
  if (outside >= 0) {
    const value = array.data[outside] ?? NaN
    return bad(path, `${where} is ${typeOf(array)}: its element ${outside} is ${value}, beyond [0, 1]`,
      value > 1 && value <= 255 ? 'Real numbers are in [0, 1]: divide by 255, or save bytes with .astype(numpy.uint8).' : 'Real numbers are in [0, 1].')
  }
  const data = new Uint8Array(frames * height * width * 3)
  let to = 0
  for (let t = 0; t < frames; t++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        for (let c = 0; c < 3; c++) {
          const value = array.data[layout.at(t, y, x, c)] ?? 0
          data[to++] = real ? Math.round(value * 255) : value
        }
      }
    }
  }
  return { frames, height, width, data }
}

const fromNpz = (path: string, bytes: Uint8Array): Video => {
  const arrays = parseNpz(bytes, path)
  if (E.isLeft(arrays)) return refuse(arrays.left)
  const named = arrays.right.get('x')
  if (named !== undefined) return fromArray(path, 'x', named)
  const listed = (all: readonly (readonly [string, FileArray])[]): string =>
    `${all.slice(0, 6).map(([name, array]) => `${name} ${typeOf(array)}`).join(', ')}${all.length > 6 ? ', ...' : ''}`
  const found = [...arrays.right].filter(([, array]) => fits(array))
  const [first] = found
  if (first === undefined) {
    return bad(path, arrays.right.size === 0 ? 'the archive holds no arrays' : `none of its arrays is a video: ${listed([...arrays.right])}`)
  }
  return found.length === 1 ? fromArray(path, ...first)
    : bad(path, `${found.length} of its arrays may be the video: ${listed(found)}`, `Call the one that is meant x: numpy.savez(path, x=${first[0]}).`)
}

const fromNpy = (path: string, bytes: Uint8Array): Video => {
  const array = parseNpy(bytes)
  return E.isLeft(array) ? bad(path, array.left) : fromArray(path, '', array.right)
}

const fromGif = (path: string, bytes: Uint8Array): Video => {
  const frames = parseGif(bytes, MOST / 3)
  return E.isLeft(frames) ? bad(path, `not a readable GIF: ${frames.left}`, 'Write it again, or use a folder of PNGs.') : frames.right
}

const fromFile = (path: string): Video => {
  const bytes = readBytesNow(path, KINDS)
  if (bytes.length === 0) return bad(path, 'the file is empty')
  const text = String.fromCharCode(...bytes.subarray(0, 16))
  if (text.startsWith('GIF')) return fromGif(path, bytes)
  if (startsWith(bytes, PNG_MAGIC)) return fromPng(path, bytes)
  if (text.startsWith('\x93NUMPY')) return fromNpy(path, bytes)
  if (text.startsWith('PK')) return fromNpz(path, bytes)
  const other = otherKinds.find(([, at, magic]) => text.startsWith(magic, at))
  const film = other !== undefined && / film/.test(other[0])
  return bad(path, other === undefined ? 'it is neither a GIF, a PNG nor an array of NumPy\'s' : `it is ${other[0]}`,
    lines(KINDS, film ? toGif(path) : conversionOf(dirname(path), [basename(path)], 'GIF')))
}

const isFolder = (path: string): boolean => {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false // what is wrong with it, reading it says
  }
}

/** Reads a video. A single PNG is a video of one frame. Throws a `Refusal`. */
export const readVideo = (path: string): Video => (isFolder(path) ? fromFolder(path) : fromFile(path))
