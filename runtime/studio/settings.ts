/** What is to be trained, as the page's address and its fields say it: `?config=tiny&steps=30&device=wasm&seed=1`. */
import type { ConfigName } from '../../models/vdsm/config.ts'
import { schedules } from '../../models/vdsm/schedules.ts'
import { DEVICES } from './devices.ts'
import type { DeviceChoice, Settings } from './messages.ts'

const CHOICES: readonly DeviceChoice[] = ['auto', ...DEVICES]

const isConfig = (name: string): name is ConfigName => Object.hasOwn(schedules, name)

const whole = (text: string | null, low: number, high: number, other: number): number => {
  const value = Number(text)
  return text !== null && /^\d+$/.test(text.trim()) && value >= low && value <= high ? value : other
}

/** Reads settings by name; what is not there, or cannot be meant, is as it was. */
export const settingsOf = (get: (name: keyof Settings) => string | null, otherwise: Settings): Settings => {
  const config = get('config') ?? ''
  return {
    config: isConfig(config) ? config : otherwise.config,
    device: CHOICES.find(device => device === get('device')) ?? otherwise.device,
    seed: whole(get('seed'), 0, Number.MAX_SAFE_INTEGER, otherwise.seed),
    steps: whole(get('steps'), 1, 1_000_000, otherwise.steps),
  }
}

export const defaults: Settings = { config: 'small-16', device: 'auto', seed: 0, steps: 1000 }
