/**
 * The border to gpu.js: the part of it that is used, as types of our own (its declarations need the DOM library's), and its
 * import, which waits until a program is loaded here: it is larger than the rest of the runtime. What its kernels call is
 * registered, and what it would do silently is forbidden: to compute on the processor instead, or to compile a kernel anew.
 */
import type { GlFunction, GlKernel } from '../../gl-program.ts'
import { natives, type Native } from './natives.ts'
import type { Gl, GlShaderProgram, GlTexture } from './source.ts'

/** A texture of gpu.js. */
export type Sheet = { readonly texture: GlTexture; readonly size: ArrayLike<number> }

/** A kernel of gpu.js that has been built. */
export type Built = {
  /** What it writes next; gpu.js binds it where `_textureSwitched` says that it is another than before. */
  texture: Sheet | null
  _textureSwitched: boolean | null
  readonly texSize: ArrayLike<number>
  readonly program: GlShaderProgram
  readonly TextureConstructor: new (settings: SheetSettings) => Sheet
  readonly constructor: { readonly mode: string }
  readonly build: (...args: readonly unknown[]) => void
}

export type SheetSettings = {
  readonly texture: GlTexture
  readonly size: ArrayLike<number>
  readonly dimensions: readonly number[]
  readonly output: readonly number[]
  readonly context: Gl
  readonly kernel: Built
  readonly internalFormat: number
  readonly textureFormat: number
}

/** Runs it; `kernel` is what is behind it. */
export type Shortcut = ((...args: readonly unknown[]) => unknown) & { readonly kernel: Built }

type NativeSettings = { readonly returnType: string; readonly argumentTypes: Readonly<Record<string, string>> }

export type GpuJs = {
  readonly addNativeFunction: (name: string, source: string, settings: NativeSettings) => unknown
  readonly injectNative: (source: string) => unknown
  readonly createKernel: (source: string, settings: Readonly<Record<string, unknown>>) => Shortcut
}

export type Library = {
  readonly GPU: (new (settings: { readonly mode: Mode }) => GpuJs) & { readonly disableValidation: () => void; readonly enableValidation: () => void }
  readonly utils: { readonly closestSquareDimensions: (texels: number) => ArrayLike<number> }
}

const isLibrary = (value: unknown): value is Library => (typeof value === 'object' || typeof value === 'function') && value !== null
  && 'GPU' in value && typeof value.GPU === 'function' && 'utils' in value

/** Imports gpu.js. Its form for browsers is a class that carries everything else, whatever a bundler makes of that. */
export const importLibrary = async (): Promise<Library> => {
  const module: unknown = await import('gpu.js')
  const found = [module, typeof module === 'object' && module !== null && 'default' in module ? module.default : undefined].find(isLibrary)
  if (found === undefined) throw new Error('gpu.js is not what it was expected to be')
  return found
}

export type Mode = 'webgl2' | 'cpu'

const typeNames = { int: 'Integer', float: 'Float', bool: 'Boolean' } as const

const nativeSource = (name: string, { returns, parameters, glsl, js }: Native, mode: Mode): string => {
  switch (mode) {
    case 'webgl2': return `${returns} ${name}(${parameters.map(([type, parameter]) => `${type} ${parameter}`).join(', ')}) { return ${glsl}; }`
    case 'cpu': return `function ${name}(${parameters.map(([, parameter]) => parameter).join(', ')}) { return ${js}; }`
  }
}

/** What natives in JavaScript call. */
const bits = `
  const bitsWords = new Int32Array(1), bitsNumbers = new Float32Array(bitsWords.buffer)
  const bitsOfFloat = x => { bitsNumbers[0] = x; return bitsWords[0] }
  const floatOfBits = a => { bitsWords[0] = a; return bitsNumbers[0] }
`

/**
 * Opens gpu.js. It is kept from looking at what the browser can do: for that it would open a context of its own, compile shaders
 * there and wait for their results, and the context that kernels are given has been looked at.
 */
export const openLibrary = ({ GPU }: Library, mode: Mode): GpuJs => {
  GPU.disableValidation()
  try {
    const gpu = new GPU({ mode })
    addNatives(gpu, mode)
    return gpu
  } finally {
    GPU.enableValidation()
  }
}

/** Adds all natives; no kernel can be made before. */
const addNatives = (gpu: GpuJs, mode: Mode): void => {
  for (const [name, native] of Object.entries<Native>(natives)) {
    gpu.addNativeFunction(name, nativeSource(name, native, mode), {
      returnType: typeNames[native.returns], argumentTypes: Object.fromEntries(native.parameters.map(([type, parameter]) => [parameter, typeNames[type]])),
    })
  }
  if (mode === 'cpu') gpu.injectNative(bits)
}

const forbidden = (what: string) => (): never => {
  throw new Error(`gpu.js ${what}`)
}

/** A function that is called, and those that it calls, each once. */
const closure = (names: readonly string[], all: ReadonlyMap<string, GlFunction>, found: Map<string, GlFunction> = new Map()): readonly GlFunction[] => {
  for (const name of names) {
    const one = all.get(name)
    if (one === undefined || found.has(name)) continue
    found.set(name, one)
    closure(one.calls, all, found)
  }
  return [...found.values()]
}

/** Loops are as long as they say: gpu.js stops those whose length it does not see after so many turns, by default 1000. */
const mostTurns = 2 ** 31 - 1

/** Where kernels of WebGL2 are: a context, and what gpu.js sizes as it builds kernels. Nothing is drawn on a canvas, so it needs no memory. */
export type Place = { readonly context: Gl; readonly canvas: { width: number; height: number } }

/** Makes a kernel, which gpu.js builds when it is told to, or is run first. Its parameters: arrays, then counters. */
export const createKernel = (gpu: GpuJs, place: Place | null, kernel: Pick<GlKernel, 'code' | 'inputs' | 'counters' | 'texels' | 'functions'>,
  functions: ReadonlyMap<string, GlFunction>): Shortcut =>
  gpu.createKernel(kernel.code, {
    output: [kernel.texels],
    pipeline: true,
    // The device itself sees to it that no texture is written that somebody holds; gpu.js would keep one texture for every kernel.
    immutable: place === null,
    precision: 'single', tactic: 'precision', returnType: 'Float', fixIntegerDivisionAccuracy: false, loopMaxIterations: mostTurns,
    argumentTypes: [...kernel.inputs.map(() => (place === null ? 'Array' : 'NumberTexture')), ...Array.from({ length: kernel.counters }, () => 'Integer')],
    functions: closure(kernel.functions, functions).map(({ code, parameters }) =>
      ({ source: code, settings: { argumentTypes: Array.from({ length: parameters }, () => 'Float'), returnType: 'Float' } })),
    validate: false,
    ...place,
    onRequestFallback: forbidden('wants to compute on the processor instead'),
    onRequestSwitchKernel: forbidden('wants to compile the kernel anew for other arguments'),
  })
