/** The worker that times programs on one device: its own, so that it can be ended at any time, and what it holds is given back with it. */
import { open } from '../browser.ts'
import { deviceNames, foundOf } from './devices.ts'
import { findHere, optionsOf } from './here.ts'
import { measure } from './measure.ts'
import { MEASURED } from './measured.ts'
import type { FromMeasurer, ToMeasurer } from './messages.ts'

const scope = globalThis as unknown as {
  onmessage: ((event: { readonly data: ToMeasurer }) => void) | null
  readonly postMessage: (message: FromMeasurer) => void
}

const follow = async ({ build, config, device }: ToMeasurer): Promise<void> => {
  const refuseAll = (why: string): void => MEASURED.forEach(program => scope.postMessage({ kind: 'timing', program, timing: { kind: 'refused', why } }))
  const found = foundOf(device, await findHere())
  if ('obstacle' in found) refuseAll(`${deviceNames[device]} cannot be used: ${found.obstacle}`)
  else {
    await measure(await open(build), config, optionsOf({ device, software: found.software }), (program, timing) =>
      scope.postMessage({ kind: 'timing', program, timing }))
  }
  scope.postMessage({ kind: 'measured' })
}

scope.onmessage = ({ data }) => {
  follow(data).catch((error: unknown) => scope.postMessage({ kind: 'failed', text: error instanceof Error ? error.message : String(error) }))
}
