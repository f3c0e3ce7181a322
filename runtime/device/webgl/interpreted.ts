/**
 * Kernels of gpu.js as JavaScript on the processor (its mode cpu): a test vehicle for Node, which has no WebGL. It computes in
 * float64 between loads and stores, slowly. No command offers it.
 */
import { refuse } from '../../../dsl/errors.ts'
import { failures } from '../leases.ts'
import { kernelKey, type Engine, type Run, type Texture } from './engine.ts'
import { createKernel, openLibrary, type Library } from './library.ts'
import { glFailure } from './source.ts'

type Numbers = Texture & { readonly numbers: Float32Array }

export const interpretedEngine = (library: Library, maxTextureSize = 16384): Engine => {
  const gpu = openLibrary(library, 'cpu')
  const kernels = new Map<string, Run>()
  const state = { textures: 0, bytes: 0 }
  const { silence, ...failing } = failures()
  const hold = (numbers: Float32Array): Numbers => {
    let users = 1
    state.textures++
    state.bytes += numbers.byteLength
    return {
      numbers, texels: numbers.length,
      retain: () => void users++,
      release: () => {
        if (--users > 0) return
        state.textures--
        state.bytes -= numbers.byteLength
      },
    }
  }
  // All textures of this engine are made by `hold`.
  const numbersOf = (texture: Texture): Float32Array => (texture as Numbers).numbers
  return {
    about: { name: 'gpu.js in JavaScript', vendor: '', software: true, maxTextureSize },
    words: 'webgl, in JavaScript',
    ...failing,
    fits: texels => texels <= maxTextureSize * maxTextureSize,
    bytesOf: texels => 4 * texels,
    prepare: (kernel, functions) => {
      const known = kernels.get(kernelKey(kernel))
      if (known !== undefined) return known
      const run = createKernel(gpu, null, kernel, functions)
      try {
        run.kernel.build(...kernel.inputs.map(texels => new Float32Array(texels)), ...Array.from({ length: kernel.counters }, () => 0))
      } catch (error) {
        refuse(glFailure('shader', `kernel ${kernel.name} (${kernel.places.join(', ')}) is refused by gpu.js: ${String(error)}`))
      }
      const made: Run = (inputs, counters) => {
        const result: unknown = run(...inputs.map(numbersOf), ...counters)
        return hold(Float32Array.from(result as ArrayLike<number>)) // what kernels with one dimension of output give
      }
      kernels.set(kernelKey(kernel), made)
      return made
    },
    upload: (texels, write) => {
      const numbers = new Float32Array(texels)
      write(numbers)
      return hold(numbers)
    },
    zeros: texels => hold(new Float32Array(texels)),
    read: async textures => textures.map(texture => numbersOf(texture).slice()),
    done: async () => undefined,
    trim: () => undefined,
    held: () => ({ ...state, used: state.textures, kernels: kernels.size }),
    close: silence,
  }
}
