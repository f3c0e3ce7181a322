/** Kernels of gpu.js on a context of WebGL2: built once when a program is loaded, then run on textures. */
import { Refusal, type Failure } from '../../../dsl/errors.ts'
import type { GlFunction, GlKernel } from '../../gl-program.ts'
import { kernelKey, type Run, type Texture } from './engine.ts'
import { createKernel, type Built, type GpuJs, type Place, type Shortcut } from './library.ts'
import type { Sheets } from './sheets.ts'
import { gl as n, glFailure, remedies, type Gl } from './source.ts'

/** What kernels of all contexts have in common: the same attributes of vertices at the same places, which gpu.js takes for granted. */
export const fixAttributes = (gl: Gl): void => {
  const { linkProgram } = gl
  Object.defineProperty(gl, 'linkProgram', {
    value: (program: Parameters<Gl['linkProgram']>[0]) => {
      gl.bindAttribLocation(program, 0, 'aPos')
      gl.bindAttribLocation(program, 1, 'aTexCoord')
      linkProgram.call(gl, program)
    },
  })
}

/** The first line in which a driver, or gpu.js, says what is wrong. */
const firstLine = (error: unknown): string => {
  const lines = (error instanceof Error ? error.message : String(error)).replace(/^Error compiling \w+ shader: /, '').split('\n')
  return lines.map(line => line.trim()).find(line => line !== '') ?? ''
}

const shaderFailure = ({ name, places }: Pick<GlKernel, 'name' | 'places'>, words: string): Failure =>
  glFailure('shader', `kernel ${name} (${places.join(', ')}) does not compile: ${words}`, remedies.bug)

/** Builds a kernel, and writes to `empty` until it is given a texture. Throws a `Refusal`: that of `usable` where the context has failed. */
export const buildKernel = (
  gpu: GpuJs, place: Place, usable: () => void, kernel: GlKernel, functions: ReadonlyMap<string, GlFunction>, args: readonly unknown[], empty: Built['texture'],
): { readonly shortcut: Shortcut; readonly built: Built } => {
  try {
    const shortcut = createKernel(gpu, place, kernel, functions)
    const built = shortcut.kernel
    const { context } = place
    built.texture = empty
    built.build(...args)
    if (built.constructor.mode !== 'gpu') throw new Error(`gpu.js made it for its mode ${built.constructor.mode}`)
    if (context.getProgramParameter(built.program, n.linked) !== true) throw new Error(context.getProgramInfoLog(built.program) ?? 'it cannot be linked')
    return { shortcut, built }
  } catch (error) {
    // Nothing compiles on a context that was lost.
    usable()
    throw error instanceof Refusal ? error : new Refusal(shaderFailure(kernel, firstLine(error)))
  }
}

export type Kernels = { readonly prepare: (kernel: GlKernel, functions: ReadonlyMap<string, GlFunction>) => Run; readonly count: () => number }

/** The kernels of a context, which all its programs share. `usable` throws where it has failed. */
export const kernelsOn = (gpu: GpuJs, place: Place, sheets: Sheets, usable: () => void): Kernels => {
  const all = new Map<string, Run>()
  return {
    count: () => all.size,
    prepare: (kernel, functions) => {
      const key = kernelKey(kernel)
      const known = all.get(key)
      if (known !== undefined) return known
      const empty = sheets.dummy(kernel.texels)
      const args = [...kernel.inputs.map(sheets.dummy), ...Array.from({ length: kernel.counters }, () => 0)]
      const { shortcut, built } = buildKernel(gpu, place, usable, kernel, functions, args, empty)
      usable()
      const run: Run = (inputs, counters): Texture => {
        const output = sheets.take(kernel.texels)
        built.texture = sheets.sheetOf(output)
        built._textureSwitched = true
        shortcut(...inputs.map(sheets.sheetOf), ...counters)
        // gpu.js would take it for its own.
        built.texture = empty
        return output
      }
      all.set(key, run)
      return run
    },
  }
}
