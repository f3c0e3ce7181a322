/** What devices are here, found by asking for them, and how programs are loaded on them. */
import { print, Refusal, webglHere, webgpuHere, type LoadOptions } from '../browser.ts'
import type { Candidate, Found, Here } from './devices.ts'

/** A failure in one line, for a sentence that names the device. */
export const reasonOf = (error: unknown): string => {
  if (!(error instanceof Refusal)) return error instanceof Error ? error.message : String(error)
  const { failure } = error
  const named = failure.kind === 'device' || (failure.kind === 'limit' && failure.what.startsWith('Web'))
  return (named ? failure.message : print(failure)).split('\n')[0] ?? ''
}

const find = async (ask: () => Promise<{ readonly name: string; readonly software: boolean }>): Promise<Found> => {
  try {
    const { name, software } = await ask()
    return { name, software }
  } catch (error) {
    return { obstacle: reasonOf(error) }
  }
}

export const findHere = async (): Promise<Here> => {
  const [webgpu, webgl] = await Promise.all([find(webgpuHere), find(webglHere)])
  return { webgpu, webgl }
}

export const optionsOf = ({ device, software }: Pick<Candidate, 'device' | 'software'>): LoadOptions => {
  switch (device) {
    case 'webgpu': return software ? { device, allowSoftware: true } : { device }
    case 'webgl':
    case 'wasm': return { device }
  }
}
