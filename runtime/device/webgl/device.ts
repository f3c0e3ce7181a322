/**
 * A context of WebGL2 in use: opened when the first program is loaded on it, shared by all, closed when the last of them is disposed
 * of. What goes wrong on it comes together here: the first failure stays, and everybody hears of it.
 */
import { pipe } from 'fp-ts/lib/function.js'
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { Refusal, type Failure } from '../../../dsl/errors.ts'
import { failures, leasing } from '../leases.ts'
import { lostFailure, openContext, type Context } from './context.ts'
import type { Engine } from './engine.ts'
import { fixAttributes, buildKernel, kernelsOn } from './kernels.ts'
import { importLibrary, openLibrary, type Library } from './library.ts'
import { finished, readback } from './readback.ts'
import { sheetsOf } from './sheets.ts'
import { gl as n, glFailure, remedies, type GlSource } from './source.ts'

/** A kernel whose numbers are known, to see whether the context computes and reads floats as it says. */
const probe = { name: 'probe', places: [], code: 'function () { return this.thread.x + 0.5; }', inputs: [], counters: 0, texels: 5, functions: [] }

/** The device on a context that has just been opened. Throws a `Refusal` where it does not compute. */
const engineOn = async (library: Library, { gl, about, onLost, close }: Context): Promise<Engine> => {
  const { silence, ...failing } = failures()
  const broken = (): never => {
    // A context that was lost says so between tasks; calls notice before.
    failing.fail(gl.isContextLost() ? lostFailure(about.name) : glFailure('validation', 'reading results was refused', remedies.bug))
    throw new Refusal(failing.failure() ?? glFailure('lost', 'the context was closed while results were read'))
  }
  onLost(failing.fail)
  fixAttributes(gl)
  const gpu = openLibrary(library, 'webgl2')
  const place = { context: gl, canvas: { width: 1, height: 1 } }
  const usable = (): void => {
    if (gl.isContextLost()) failing.fail(lostFailure(about.name))
    const failure = failing.failure()
    if (failure !== null) throw new Refusal(failure)
  }
  const { shortcut, built } = buildKernel(gpu, place, usable, probe, new Map(), [], null)
  const sheets = sheetsOf(gl, about, library, built)
  const { prepare, count } = kernelsOn(gpu, place, sheets, usable)
  const read = readback(gl, broken)
  const checked = (): void => {
    usable()
    const error = gl.getError()
    if (error === n.noError) return
    failing.fail(error === n.outOfMemory ? glFailure('memory', 'out of memory while running', remedies.smaller)
      : glFailure('validation', `a call was refused while running (error ${error})`, remedies.bug))
    usable()
  }
  shortcut()
  const found = built.texture === null ? [] : await read([{ sheet: built.texture, texels: probe.texels }])
  if (!found.some(numbers => numbers.every((x, i) => x === i + 0.5))) {
    throw new Refusal(glFailure('validation', `${about.name} computes wrong numbers (${found.join(', ')})`, remedies.driver))
  }
  checked()
  const staging = { numbers: new Float32Array(1024) }
  return {
    about,
    words: `webgl, ${about.name}`,
    ...failing,
    fits: texels => sheets.sizeOf(texels).every(side => side <= about.maxTextureSize),
    bytesOf: texels => 4 * sheets.sizeOf(texels)[0] * sheets.sizeOf(texels)[1],
    prepare,
    upload: (texels, write) => {
      const texture = sheets.take(texels)
      const [width, height] = sheets.sizeOf(texels)
      if (staging.numbers.length < width * height) staging.numbers = new Float32Array(width * height)
      try {
        write(staging.numbers.subarray(0, texels))
      } catch (error) {
        texture.release()
        throw error
      }
      sheets.bind(texture)
      gl.texSubImage2D(n.texture2d, 0, 0, 0, width, height, n.red, n.float, staging.numbers, 0)
      return texture
    },
    zeros: texels => {
      const texture = sheets.take(texels)
      sheets.clear(texture)
      return texture
    },
    read: async textures => {
      usable()
      const numbers = await read(textures.map(texture => ({ sheet: sheets.sheetOf(texture), texels: texture.texels })))
      checked()
      return numbers
    },
    done: async () => {
      usable()
      await finished(gl, broken)
      checked()
    },
    trim: sheets.trim,
    held: () => ({ ...sheets.held(), kernels: count() }),
    close: () => {
      silence()
      close()
    },
  }
}

/** The right to use a device until `release` is called. */
export type Lease = { readonly engine: Engine; readonly release: () => void }

/** Opens a device of its own for the caller, who has to close it. */
export const openEngine = (source: GlSource): TE.TaskEither<Failure, Engine> => async () => {
  const opened = openContext(source)
  if (E.isLeft(opened)) return opened
  try {
    return E.right(await engineOn(await importLibrary(), opened.right))
  } catch (error) {
    opened.right.close()
    if (error instanceof Refusal) return E.left(error.failure)
    return E.left(glFailure('validation', `gpu.js does not start on ${opened.right.about.name}: ${error instanceof Error ? error.message : String(error)}`))
  }
}

const shared = leasing<GlSource, Engine>(engine => engine.trim())

/**
 * The device of this page: the same for all who ask while somebody uses it. One that has failed is not given any more: asking
 * again opens a fresh context.
 */
export const engineOf = (source: GlSource): TE.TaskEither<Failure, Lease> =>
  pipe(shared(source, openEngine(source)), TE.map(({ device, release }) => ({ engine: device, release })))
