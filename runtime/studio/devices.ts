/** Which device the page trains on, and why not on another, in words. */
import { print, Refusal, webgpuHere, type LoadOptions } from '../browser.ts'
import type { DeviceChoice } from './messages.ts'

/** What WebGPU is here: an adapter, in software or not, or a reason why there is none. */
export type Gpu = { readonly obstacle: string } | { readonly name: string; readonly software: boolean }

export const findGpu = async (): Promise<Gpu> => {
  try {
    const { name, software } = await webgpuHere()
    return { name, software }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const { failure } = error
    return { obstacle: failure.kind === 'device' ? failure.message : print(failure) }
  }
}

export type Decision = { readonly options: LoadOptions; readonly notes: readonly string[] }

/** Auto takes WebGPU where there is a real graphics processor. WebGPU that was asked for and is not there is a mistake, in words. */
export const decide = (choice: DeviceChoice, gpu: Gpu): Decision | { readonly refused: string } => {
  const wasm = (note: string): Decision => ({ options: { device: 'wasm' }, notes: [note] })
  if (choice === 'wasm') return wasm('WebAssembly was chosen.')
  if ('obstacle' in gpu) {
    return choice === 'auto' ? wasm(`WebGPU is not used: ${gpu.obstacle}.`) : { refused: `WebGPU cannot be used: ${gpu.obstacle}. Choose another device.` }
  }
  if (!gpu.software) return { options: { device: 'webgpu' }, notes: [] }
  return choice === 'auto'
    ? wasm('WebGPU is not used: its only adapter here computes in software, slower than WebAssembly. Choosing WebGPU uses it all the same.')
    : { options: { device: 'webgpu', allowSoftware: true },
      notes: ['This adapter computes in software: its numbers are right, but compiling shaders takes it minutes, and a step seconds.'] }
}
