/** What devices are here, found by asking for them, and how programs are loaded on them. */
import { print, Refusal, webgpuHere, type About, type LoadOptions } from '../browser.ts'
import type { Candidate, Found, Here } from './devices.ts'

/** A failure in one line, for a sentence that names the device. */
export const reasonOf = (error: unknown): string => {
  if (!(error instanceof Refusal)) return error instanceof Error ? error.message : String(error)
  const { failure } = error
  return (failure.kind === 'device' ? failure.message : print(failure)).split('\n')[0] ?? ''
}

const find = async (ask: () => Promise<Pick<About, 'name' | 'software'>>): Promise<Found> => {
  try {
    const { name, software } = await ask()
    return { name, software }
  } catch (error) {
    return { obstacle: reasonOf(error) }
  }
}

export const findHere = async (): Promise<Here> => {
  const webgpu = await find(webgpuHere)
  return { webgpu, webgl: { obstacle: 'this build of the page does not know it' } }
}

export const optionsOf = ({ device, software }: Pick<Candidate, 'device' | 'software'>): LoadOptions => {
  switch (device) {
    case 'webgpu': return software ? { device, allowSoftware: true } : { device }
    case 'webgl': return { device: 'wasm' }
    case 'wasm': return { device }
  }
}
