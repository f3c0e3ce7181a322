/**
 * Which devices the page tries, in which order, and why it does not use the others, in words: plain data and pure functions.
 * What is here is found by here.ts.
 */
import type { DeviceChoice, DeviceLine, PageDevice } from './messages.ts'

/** The chain: the fastest first, and last the one that is always there. */
export const DEVICES = ['webgpu', 'webgl', 'wasm'] as const satisfies readonly PageDevice[]

export const deviceNames: Readonly<Record<PageDevice, string>> = { webgpu: 'WebGPU', webgl: 'WebGL', wasm: 'WebAssembly' }

/** What one device is here: hardware or not, or a reason why there is none. */
export type Found = { readonly name: string; readonly software: boolean } | { readonly obstacle: string }
/** WebAssembly is always here. */
export type Here = Readonly<Record<Exclude<PageDevice, 'wasm'>, Found>>

export type Passed = { readonly device: PageDevice; readonly why: string }
export type Candidate = {
  readonly device: PageDevice
  /** It computes on the processor, which was asked for. */
  readonly software: boolean
  /** For people: what is to be known of it. */
  readonly note: string
}

/** The devices to try in turn, and those that are not even tried. */
export type Decision = { readonly chain: readonly Candidate[]; readonly passed: readonly Passed[] }

export const foundOf = (device: PageDevice, here: Here): Found => (device === 'wasm' ? { name: 'the processor', software: false } : here[device])

const slow: Readonly<Record<PageDevice, string>> = {
  webgpu: 'It computes in software: the numbers are right, but compiling shaders takes it minutes, and a step seconds.',
  webgl: 'It computes in software: the numbers are right, but it is many times slower than WebAssembly.',
  wasm: '',
}

/** A device of its own accord: hardware only. */
const worthwhile = (device: PageDevice, here: Here): Candidate | Passed => {
  const found = foundOf(device, here)
  if ('obstacle' in found) return { device, why: found.obstacle }
  return found.software ? { device, why: `it computes in software here, slower than WebAssembly: ${found.name}` }
    : { device, software: false, note: '' }
}

/**
 * Auto takes WebGPU where there is a real graphics processor, else WebGL on one, else WebAssembly. A device that was chosen is
 * taken as it is; should it fail, those after it follow. One that was chosen and is not here is a mistake, in words.
 */
export const decide = (choice: DeviceChoice, here: Here): Decision | { readonly refused: string } => {
  const first = choice === 'auto' ? undefined : foundOf(choice, here)
  if (choice !== 'auto' && first !== undefined && 'obstacle' in first) {
    return { refused: `${deviceNames[choice]} cannot be used: ${first.obstacle}. Choose another device.` }
  }
  const chosen = choice === 'auto' || first === undefined || 'obstacle' in first ? []
    : [{ device: choice, software: first.software, note: first.software ? slow[choice] : '' }]
  const rest = DEVICES.slice(choice === 'auto' ? 0 : DEVICES.indexOf(choice) + 1).map(device => worthwhile(device, here))
  return {
    chain: [...chosen, ...rest.flatMap(each => ('why' in each ? [] : [each]))],
    passed: rest.flatMap(each => ('why' in each ? [each] : [])),
  }
}

/** How things stand, a line for each device: `at` is the place in the chain of the one in use (or being tried), `text` what it is. */
export const standing = ({ chain, passed }: Decision, at: number, text = ''): readonly DeviceLine[] =>
  DEVICES.map((device): DeviceLine => {
    const refused = passed.findLast(each => each.device === device)
    const place = chain.findIndex(each => each.device === device)
    if (place === at) return { device, role: 'used', text: [text, chain[place]?.note ?? ''].filter(part => part !== '').join('. ') }
    if (refused !== undefined) return { device, role: 'passed', text: refused.why }
    return place > at ? { device, role: 'next', text: 'takes over if that fails' } : { device, role: 'idle', text: 'not chosen' }
  })
