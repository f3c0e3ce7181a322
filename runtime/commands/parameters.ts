/**
 * Choosing from a file of parameters what a program takes. A checkpoint holds more than one program needs, and its names
 * may be those of the training state (`state.params.encoder.conv1.weight`) or of the parameters alone
 * (`encoder.conv1.weight`): the reading under which most tensors are inputs of the program is the one that is meant.
 */
import type { FileArray } from '../io/element.ts'
import type { FileArrays } from '../io/npz.ts'
import type { ProgramInfo } from '../manifest.ts'

type Reading = (name: string) => string

const readings = (program: ProgramInfo): readonly Reading[] => [
  name => name,
  ...program.parameters.map((parameter): Reading => name => `${parameter}${name.startsWith('[') ? '' : '.'}${name}`),
  name => name.replace(/^[^.[]+\./, ''),
]

/** The tensors by input path; where not one fits, all of them under their own names, so that the mistake is reported. */
export const chooseParameters = (program: ProgramInfo, file: FileArrays): FileArrays => {
  const known = new Set(program.inputs.map(slot => slot.path))
  const chosen = readings(program).map(reading => new Map<string,
    FileArray>([...file].flatMap(([name, array]) => (known.has(reading(name)) ? [[reading(name), array] as const] : []))))
  const best = chosen.reduce((most, next) => (next.size > most.size ? next : most), new Map<string, FileArray>())
  const named = best.size === 0 ? file : best
  const complete = [...known].every(path => named.has(path) || ![...named.keys()].some(name => rootOf(name) === rootOf(path)))
  // What is left over is of no concern where nothing is missing, and a hint at the misspelt name where something is.
  return complete ? named : new Map([...[...file].filter(([name]) => rootOf(name) === 'params' && !named.has(name)), ...named])
}

const rootOf = (path: string): string => /^[^.[]*/.exec(path)?.[0] ?? ''
