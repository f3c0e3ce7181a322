/** The options of the commands that say where programs run, and what `auto` means: a GPU where there is one, otherwise the processor. */
import { InvalidArgumentError, type Command } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import { existsSync } from 'node:fs'
import { refuse } from '../../dsl/errors.ts'
import type { Device, LoadOptions } from '../build.ts'
import type { Host } from '../device/host.ts'
import type { ProgramInfo } from '../manifest.ts'
import { oneOf } from './command.ts'

const PRECISIONS = ['f32', 'f16-tiles', 'tensor-cores'] as const

/** Devices that programs are loaded on in Node; WebGL is in pages. */
export type NodeDevice = Exclude<Device, 'webgl'>

/** What the options say, under commander's names. */
export type DeviceOptions = {
  readonly device?: 'auto' | NodeDevice
  readonly allowSoftware?: true
  readonly precision?: (typeof PRECISIONS)[number]
  /** False: --no-tune. */
  readonly tune?: boolean
  readonly threads?: number
}

const WORDS: Readonly<Record<'auto' | NodeDevice, string>> =
  { auto: 'a GPU where there is one, otherwise wasm', webgpu: 'a GPU', wasm: 'the processor', eager: 'the source itself, slow; float64' }

/** One of the devices that the command knows. */
const deviceNamed = <const W extends readonly ('auto' | NodeDevice)[]>(...names: W) => (text: string): W[number] => {
  if (text !== 'webgl') return oneOf(...names)(text)
  throw new InvalidArgumentError(`WebGL is in pages, not in Node: vdsm studio runs programs on it. Here there are ${names.join(', ')}.`)
}

/** Adds --device and what goes with it. `devices`: those that the command knows besides auto; `byDefault`: what is taken where none is named. */
export const withDevice = (command: Command, devices: readonly NodeDevice[] = ['webgpu', 'wasm', 'eager'], byDefault = 'auto'): Command => {
  const names = (['auto', 'webgpu', 'wasm', 'eager'] as const).filter(name => name === 'auto' || devices.includes(name))
  return command
    .option('--device <name>', `${names.map(name => `${name} (${WORDS[name]})`).join(', ')} (default: ${byDefault})`, deviceNamed(...names))
    .option('--allow-software', 'with --device webgpu: also an adapter that computes on the processor, slowly')
    .option('--precision <name>', 'on a GPU: f32, f16-tiles (products round what they multiply to half precision, and sum in f32), or tensor-cores '
      + '(the same on the tensor cores of an NVIDIA GPU, an experiment of Dawn\'s)', oneOf(...PRECISIONS))
    .option('--no-tune', 'on a GPU: take the kernels as they come, without measuring which are the fastest (which is remembered)')
}

/** Whether it is worth looking for a GPU: not where the system shows none. Takes no time. */
const mayHaveGpu = (): boolean => process.platform !== 'linux' || ['/dev/dri', '/dev/nvidia0', '/dev/nvidiactl', '/dev/dxg'].some(existsSync)

/** Where programs are loaded, and, for people, why there: `NVIDIA H100 (vulkan)`, `no GPU is here`. */
export type Chosen = { readonly options: LoadOptions & { readonly device: NodeDevice }; readonly why: string | undefined }

const gpuName = async (host: Host): Promise<string | undefined> => {
  if (!mayHaveGpu()) return undefined
  const { findAdapter } = await import('../device/webgpu/adapter.ts')
  const found = await findAdapter(host.gpu, false)()
  return E.isRight(found) ? found.right.about.name : undefined
}

const auto = (name: string | undefined, programs: readonly Pick<ProgramInfo, 'webgpu'>[]): readonly [NodeDevice, string] => {
  if (name === undefined) return ['wasm', 'no GPU is here: vdsm devices says why']
  return programs.every(({ webgpu }) => webgpu !== undefined) ? ['webgpu', name] : ['wasm', 'the programs were compiled without WebGPU']
}

/** Refuses options that mean nothing on the device that was named. */
const checkDevice = ({ device = 'auto', allowSoftware, precision }: DeviceOptions): void => {
  const no = (name: string, remedy: string): never => refuse({ kind: 'usage', message: `${name} means nothing with --device ${device}`, remedy })
  if (allowSoftware === true && device !== 'webgpu') no('--allow-software', 'Add --device webgpu, or leave it out.')
  if (precision !== undefined && precision !== 'f32' && (device === 'wasm' || device === 'eager')) no(`--precision ${precision}`, 'Leave one of the two out.')
}

/**
 * Chooses for these programs. `byDefault`: what is taken where no device is named; `nameOf`: the name of the GPU that is here, if
 * there is one. Throws a `Refusal`.
 */
export const chooseDevice = async (
  o: DeviceOptions, host: Host, programs: readonly Pick<ProgramInfo, 'webgpu'>[], byDefault: 'auto' | NodeDevice = 'auto', nameOf = gpuName,
): Promise<Chosen> => {
  const asked = o.device ?? byDefault
  checkDevice({ ...o, device: asked })
  const [device, why] = asked === 'auto' ? auto(await nameOf(host), programs) : [asked, undefined] as const
  return {
    why,
    options: {
      device,
      ...(o.threads === undefined ? {} : { threads: o.threads }),
      ...(device !== 'webgpu' ? {} : {
        ...(o.allowSoftware === true ? { allowSoftware: true } : {}),
        ...(o.precision === undefined ? {} : { precision: o.precision }),
        ...(o.tune === false ? { tune: false } : {}),
      }),
    },
  }
}
