/**
 * A checkpoint: one safetensors file with the parameters and the optimiser's state under their tree paths
 * (`params.encoder.conv1.weight`, `optimizer....`), layouts as in PyTorch, and in its metadata what is needed to go on.
 * No time stamp: two runs that computed the same write the same bytes.
 */
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { refuse } from '../../dsl/errors.ts'
import { misfit, nearest } from '../arrays.ts'
import { typeText, type Executable } from '../executor.ts'
import { readBytes, writeAtomic } from '../io/files.ts'
import { parseSafetensors, printSafetensors, type TensorFile } from '../io/safetensors.ts'
import { decodeProblems } from '../manifest.ts'
import { join, restOf } from '../paths.ts'
import { ownVersion } from '../version.ts'
import type { RunConfig } from './config.ts'
import { orThrow, right } from './task.ts'

const STATE = 'state'

/** All values are text, as the format wants it. `hash` is the training step's, `variant` the arithmetic that it ran on. */
const Metadata = t.type({
  step: t.string, seed: t.string, config: t.string, data: t.string, revision: t.string,
  program: t.string, hash: t.string, variant: t.string, vdsm: t.string, node: t.string,
})
type Metadata = t.TypeOf<typeof Metadata>

export type Checkpoint = { readonly path: string; readonly step: number; readonly file: TensorFile; readonly metadata: Metadata }

/** State arrays of a training step: name in the file, and slot. */
const stateSlots = (program: Executable) =>
  program.program.inputs.flatMap(slot => {
    const rest = restOf(slot.path, STATE)
    return rest === null ? [] : [[join('', rest), slot] as const]
  })

/** Writes the state that `program` would start its next step from. Whole or not at all. */
export const writeCheckpoint = async (
  path: string, program: Executable, about: { readonly step: number; readonly config: RunConfig; readonly revision: string },
): Promise<void> => {
  const { step, config, revision } = about
  const arrays = new Map(stateSlots(program).map(([name, slot]) => [name, { shape: slot.shape, dtype: slot.dtype, data: program.input(slot.path) }]))
  const metadata: Metadata = {
    step: String(step), seed: String(config.seed), config: config.config, data: JSON.stringify(config.data), revision,
    program: program.program.id, hash: program.program.hash, variant: program.arithmetic, vdsm: ownVersion(), node: process.versions.node,
  }
  await orThrow(writeAtomic(path, printSafetensors(arrays, metadata)))
}

const remedyFor = 'Delete this file to continue from the checkpoint before it, or start a new run.'

/** Reads and checks a checkpoint; refuses files that are damaged or were not written by a training run. */
export const readCheckpoint = async (path: string): Promise<Checkpoint> => {
  const bytes = await orThrow(readBytes(path))
  const file = right(E.mapLeft((failure: Parameters<typeof refuse>[0]) => (failure.kind === 'file' ? { ...failure, remedy: remedyFor } : failure))(parseSafetensors(bytes, path)))
  const metadata = Metadata.decode(file.metadata)
  if (E.isLeft(metadata)) return refuse({ kind: 'file', path, message: `not a checkpoint of a training run: ${decodeProblems(metadata.left)}`, remedy: remedyFor })
  const step = Number(metadata.right.step)
  if (!Number.isSafeInteger(step) || step < 0) return refuse({ kind: 'file', path, message: `its step is '${metadata.right.step}'`, remedy: remedyFor })
  return { path, step, file, metadata: metadata.right }
}

/**
 * Puts a checkpoint's arrays into the training step. Refuses another seed or configuration, and arrays that do not fit, all
 * named. Returns warnings: things that make the continuation differ from a run that never stopped.
 */
export const restoreState = (checkpoint: Checkpoint, program: Executable, config: RunConfig): readonly string[] => {
  const { file, metadata, path } = checkpoint
  for (const [name, here, there] of [['seed', String(config.seed), metadata.seed], ['config', config.config, metadata.config], ['program', program.program.id, metadata.program]] as const) {
    if (here !== there) refuse({ kind: 'file', path, message: `it was written with ${name} ${there}, the run has ${name} ${here}`, remedy: remedyFor })
  }
  const slots = new Map(stateSlots(program))
  const problems = [
    ...[...slots].flatMap(([name, slot]) => {
      const array = file.arrays.get(name)
      const problem = array === undefined ? `not in the checkpoint, expected ${typeText(slot)}` : misfit({ ...slot, path: name }, array)
      return problem === null ? [] : [`${name}: ${problem}`]
    }),
    ...[...file.arrays].flatMap(([name, array]) => {
      if (slots.has(name)) return []
      const near = nearest(name, [...slots.keys()])
      return [`${name}: the program has no such state (the checkpoint has ${array.element}[${array.shape.join(', ')}])${near === undefined ? '' : `; it has ${near}`}`]
    }),
  ]
  if (problems.length > 0) {
    refuse({ kind: 'arrays', program: program.program.id, problems: problems.slice(0, 8), remedy: `The model has changed since ${path} was written: check out that revision (${metadata.revision}) or start a new run.` })
  }
  for (const [name, slot] of slots) program.set(slot.path, file.arrays.get(name)?.data ?? [])
  return [
    ...(metadata.hash === program.program.hash ? [] : ['The training step was compiled anew with changes: what follows may differ from a run that never stopped.']),
    ...(metadata.variant === program.arithmetic ? [] : [`The checkpoint was computed on ${metadata.variant}, this run goes on on ${program.arithmetic}: what follows may differ in the last digits.`]),
    ...(program.device === 'eager' ? ['The eager device computes in float64, a checkpoint holds float32: what follows differs from a run that never stopped in the last digits.'] : []),
  ]
}
