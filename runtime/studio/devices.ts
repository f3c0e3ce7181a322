/** Which device the page trains on, and why not on another, in words. */
import type { DeviceChoice } from './messages.ts'

/** The little of `navigator.gpu` that is asked here. */
type Adapter = {
  readonly info?: { readonly vendor?: string; readonly architecture?: string; readonly description?: string; readonly isFallbackAdapter?: boolean }
  readonly isFallbackAdapter?: boolean
}
type Surroundings = { readonly isSecureContext?: boolean; readonly navigator?: { readonly gpu?: { readonly requestAdapter: (o?: object) => Promise<Adapter | null> } } }

/** What WebGPU is here: nothing, for a reason, or an adapter; `software` ones compute on the processor, slower than WebAssembly. */
export type Gpu = { readonly obstacle: string } | { readonly name: string; readonly software: boolean }

export const findGpu = async (): Promise<Gpu> => {
  const { navigator, isSecureContext } = globalThis as unknown as Surroundings
  if (navigator?.gpu === undefined) {
    return { obstacle: isSecureContext === false ? 'this page was not loaded from a secure address (https, or this machine)' : 'this browser does not offer it here' }
  }
  try {
    const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' })
    if (adapter === null) return { obstacle: 'the browser found no graphics processor that it can use' }
    const { vendor = '', architecture = '', description = '', isFallbackAdapter = adapter.isFallbackAdapter ?? false } = adapter.info ?? {}
    const words = description !== '' ? description : [vendor, architecture].filter(word => word !== '').join(' ')
    return { name: words === '' ? 'graphics processor' : words, software: isFallbackAdapter || /swiftshader|llvmpipe|software/i.test(`${words} ${architecture}`) }
  } catch (error) {
    return { obstacle: error instanceof Error ? error.message : String(error) }
  }
}

export type Decision = { readonly device: 'webgpu' | 'wasm'; readonly notes: readonly string[] }

/** Auto takes WebGPU where there is a real graphics processor. WebGPU that was asked for and is not there is a mistake, in words. */
export const decide = (choice: DeviceChoice, gpu: Gpu): Decision | { readonly refused: string } => {
  if (choice === 'wasm') return { device: 'wasm', notes: ['WebAssembly was chosen.'] }
  if ('obstacle' in gpu) {
    return choice === 'auto' ? { device: 'wasm', notes: [`WebGPU is not used: ${gpu.obstacle}.`] }
      : { refused: `WebGPU cannot be used: ${gpu.obstacle}. Choose another device.` }
  }
  if (!gpu.software) return { device: 'webgpu', notes: [`${gpu.name}.`] }
  return choice === 'auto'
    ? { device: 'wasm', notes: [`WebGPU is not used: its only adapter (${gpu.name}) is software, slower than WebAssembly. Choosing WebGPU uses it all the same.`] }
    : { device: 'webgpu', notes: [`${gpu.name}: a software adapter. Its numbers are right, its speed is not that of a graphics processor.`] }
}
