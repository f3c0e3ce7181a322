/**
 * WebGPU in Node: Dawn, from the npm package `webgpu`. It is an optional dependency and needs a driver of the system (on Linux
 * Vulkan: a loader and a driver file), so most of this file finds out what is there and says what is missing.
 */
/// <reference types="@webgpu/types" />
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { constants, homedir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Failure } from '../../../dsl/errors.ts'
import { deviceFailure, type GpuSource, type Lack, type Started, type Store } from './source.ts'

const packaged = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64', 'win32-x64', 'win32-arm64']
const platform = `${process.platform}-${process.arch}`
const backend = process.platform === 'darwin' ? 'metal' : process.platform === 'win32' ? 'd3d12' : 'vulkan'

/** Chromium and Chrome bring a Vulkan loader and a software driver (SwiftShader) of their own. */
const chromiums = [
  '/usr/lib/chromium', '/usr/lib64/chromium-browser', '/usr/lib/chromium-browser', '/opt/google/chrome', '/snap/chromium/current/usr/lib/chromium-browser',
]
const softwareDrivers = chromiums.map(folder => join(folder, 'vk_swiftshader_icd.json'))

/** Where the Vulkan loader looks for drivers. */
const driverFolders = ((): readonly string[] => {
  const { XDG_CONFIG_HOME, XDG_CONFIG_DIRS, XDG_DATA_HOME, XDG_DATA_DIRS } = process.env
  const bases = [
    XDG_CONFIG_HOME ?? join(homedir(), '.config'), ...(XDG_CONFIG_DIRS ?? '/etc/xdg').split(':'), '/etc', '/usr/local/etc',
    XDG_DATA_HOME ?? join(homedir(), '.local/share'), ...(XDG_DATA_DIRS ?? '').split(':'), '/usr/local/share', '/usr/share',
  ]
  return [...new Set(bases.filter(base => base !== '').map(base => join(base, 'vulkan/icd.d')))]
})()

/** Keeps a library that is no module of Node in the process, so that Dawn finds it by its name; false where it cannot be loaded. */
const keepLibrary = (path: string): boolean => {
  const stay = 0x1000 // RTLD_NODELETE, which Node's table of constants leaves out
  try {
    process.dlopen({ exports: {} }, path, constants.dlopen.RTLD_NOW | stay)
    return true
  } catch (error) {
    return error instanceof Error && error.message.includes('did not self-register')
  }
}

const haveLoader = (): boolean => process.platform !== 'linux' || keepLibrary('libvulkan.so.1')
  || chromiums.map(folder => join(folder, 'libvulkan.so.1')).some(path => existsSync(path) && keepLibrary(path))

const noLoader = deviceFailure('missing', 'there is no Vulkan loader here (libvulkan.so.1)',
  'Debian and Ubuntu: apt install libvulkan1, and the driver of your GPU (NVIDIA: its own; AMD and Intel: mesa-vulkan-drivers). Or use the device wasm.')

/** Drivers that the user has named, instead of all that there are. */
const namedDrivers = (): string | null => {
  const name = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES'].find(variable => process.env[variable] !== undefined)
  return name === undefined ? null : `${name}=${process.env[name] ?? ''}`
}

/** Adds software drivers to those that the Vulkan loader finds by itself, unless the user has named drivers. */
const addSoftwareDrivers = (): void => {
  if (process.platform !== 'linux' || namedDrivers() !== null) return
  const files = softwareDrivers.filter(existsSync)
  const named = process.env['VK_ADD_DRIVER_FILES']?.split(':') ?? []
  if (files.length > 0) process.env['VK_ADD_DRIVER_FILES'] = [...new Set([...named, ...files])].join(':')
}

const filesIn = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder).filter(name => name.endsWith('.json'))
  } catch {
    return []
  }
}

const driverFiles = (): readonly string[] => driverFolders.flatMap(filesIn)

/** Whether asking Dawn is of no use: it would only print that it finds no driver. */
const noDriver = (): boolean =>
  process.platform === 'linux' && namedDrivers() === null && process.env['VK_ADD_DRIVER_FILES'] === undefined && driverFiles().length === 0

/** Why Dawn may have found no adapter, or will find none. */
const lacking = (): Lack => {
  const softly = softwareDrivers.some(existsSync) ? 'To try it without a GPU, slowly: --allow-software.'
    : 'To try it without a GPU, slowly: install chromium, which brings SwiftShader, and give --allow-software.'
  if (process.platform !== 'linux') return { message: 'the system offers no adapter', remedy: 'Update the driver of your GPU, or use the device wasm.' }
  const [named, drivers] = [namedDrivers(), driverFiles()]
  if (named !== null) {
    return { message: `the Vulkan drivers of ${named} offer no adapter`, remedy: 'Name other drivers, or none: then all are tried. Or use the device wasm.' }
  }
  if (['/dev/nvidia0', '/dev/nvidiactl'].some(existsSync) && !drivers.some(name => name.includes('nvidia'))) {
    return { message: 'an NVIDIA GPU is here, but no Vulkan driver for it (no nvidia_icd.json in /usr/share/vulkan/icd.d or /etc/vulkan/icd.d)',
      remedy: `In a container: start it with NVIDIA_DRIVER_CAPABILITIES=all. Elsewhere: install libnvidia-gl of the driver's version. ${softly}` }
  }
  if (drivers.length === 0) {
    return { message: 'there is no Vulkan driver here (no file in /usr/share/vulkan/icd.d or /etc/vulkan/icd.d)',
      remedy: `Install the driver of your GPU (NVIDIA: its own; AMD and Intel: mesa-vulkan-drivers), or use the device wasm. ${softly}` }
  }
  const without = existsSync('/dev/dri') || existsSync('/dev/nvidia0') ? '' : '; the machine shows no GPU (no /dev/dri, no /dev/nvidia0)'
  return { message: `the Vulkan drivers here (${drivers.join(', ')}) offer no adapter that WebGPU can use${without}`,
    remedy: `Update the driver, look at the rights on /dev/dri (groups video and render), or use the device wasm. ${softly}` }
}

type Dawn = { readonly create: (options: readonly string[]) => GPU }

const isDawn = (u: unknown): u is Dawn => typeof u === 'object' && u !== null && 'create' in u && typeof u.create === 'function'

/** By a name that neither tsc nor bundlers look up: the package may be left out. */
const packageName: string = 'webgpu'

const notLoaded = (error: unknown): Failure => {
  const message = error instanceof Error ? error.message : String(error)
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'ERR_MODULE_NOT_FOUND'
    ? deviceFailure('missing', 'the package webgpu is not installed: optional dependencies were left out',
      'npm install webgpu@0.6.2 (132 MB), or use the device wasm.')
    : deviceFailure('missing', `the package webgpu cannot be loaded here (${message.split('\n')[0] ?? ''})`,
      'Install it again: npm ci. Or use the device wasm.')
}

const loadDawn: TE.TaskEither<Failure, Dawn> = pipe(
  packaged.includes(platform) ? TE.right<Failure, void>(undefined)
    : TE.left(deviceFailure('missing', `the package webgpu has nothing for ${platform} (only for ${packaged.join(', ')})`, 'Use the device wasm.')),
  TE.chain(() => TE.tryCatch(async (): Promise<unknown> => import(packageName), notLoaded)),
  TE.filterOrElse(isDawn, () => notLoaded('it has no function create')),
)

/** Where it lies: below XDG_CACHE_HOME, or ~/.cache. */
const measured = (): Store => {
  const file = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'vdsm', 'webgpu-kernels.json')
  return {
    read: () => readFile(file, 'utf8').catch(() => null),
    write: async text => {
      const beside = `${file}.${process.pid}`
      await mkdir(dirname(file), { recursive: true }).then(() => writeFile(beside, text)).then(() => rename(beside, file)).catch(() => undefined)
    },
  }
}

/** The process sleeps for this share of the time that it has been waiting for, from so many milliseconds on, and never longer than so many at once. */
const nap = { share: 1 / 16, least: 0.1, most: 5 } as const
const sleeper = new Int32Array(new SharedArrayBuffer(4))
const waiting = { awaited: 0, since: 0, asleep: false }

const sleep = (): void => {
  waiting.asleep = waiting.awaited > 0
  if (!waiting.asleep) return
  const length = nap.share * (performance.now() - waiting.since)
  if (length >= nap.least) Atomics.wait(sleeper, 0, 0, Math.min(nap.most, length))
  setImmediate(sleep)
}

/**
 * While something is awaited, Dawn asks after it in every turn of the event loop without a pause, which takes a core of the processor: as much as
 * compiling shaders does, which Dawn does in threads of its own. So turns are made to last a little, the longer the longer the wait has been:
 * what takes long is heard of a little late, what takes a millisecond is not.
 */
const patiently: Started['patiently'] = async work => {
  waiting.since = performance.now()
  waiting.awaited++
  if (!waiting.asleep) {
    waiting.asleep = true
    setImmediate(sleep)
  }
  return work.finally(() => {
    waiting.since = performance.now()
    waiting.awaited--
  })
}

export type DawnOptions = {
  /**
   * Has every index of every shader compared with the size of what it points into, and corrected. Default: not. Programs need none of that: kernels
   * count over shapes that are known when they are compiled, what lies beyond an edge is left out by a condition, and the one index that comes
   * from data, that of `gather`, is clamped by the kernel. It costs integer operations in the inner loops of products, and a quarter of the time
   * in which shaders compile.
   */
  readonly robust?: boolean
  /** Offers features that are experiments of Dawn's. Default: not. */
  readonly experimental?: boolean
}

/**
 * Workgroup memory is not filled with zeros: programs read there only what they have written, and filling it makes
 * pipelines of tiled products six times as long to compile on a software adapter. Times of single kernels are left exact: this is no browser
 * that strangers could measure. Half precision is used by those alone who ask for it; on NVIDIA Dawn offers it on demand only.
 */
const features = ({ robust = false, experimental = false }: DawnOptions): readonly string[] =>
  ['disable-dawn-features=timestamp_quantization',
    `enable-dawn-features=disable_workgroup_init,vulkan_enable_f16_on_nvidia${robust ? '' : ',disable_robustness'}${experimental ? ',allow_unsafe_apis' : ''}`]

const started = ({ create }: Dawn, options: DawnOptions): Started =>
  ({ gpu: create([`backend=${backend}`, ...features(options)]), backend, lacking, patiently })

/** WebGPU by Dawn; programs that share a device have to come by one and the same source. */
export const dawnWith = (options: DawnOptions): GpuSource => ({
  start: (software, experimental = false) =>
    pipe(
      loadDawn,
      TE.filterOrElse(haveLoader, () => noLoader),
      TE.chainFirstIOK(() => () => {
        if (software) addSoftwareDrivers()
      }),
      TE.filterOrElse(() => !noDriver(), () => deviceFailure('missing', lacking().message, lacking().remedy)),
      TE.chain(module => TE.tryCatch(async () => started(module, { ...options, experimental }), notLoaded)),
    ),
  measured: measured(),
})

/** Dawn as programs are run on it. */
export const dawn: GpuSource = dawnWith({})
