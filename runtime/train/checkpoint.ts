/**
 * A checkpoint: one safetensors file with all parameters of the model's stage, trained and frozen, and the optimiser's state
 * under their tree paths (`params.encoder.conv1.weight`, `optimizer....`), layouts as in PyTorch, and in its metadata what
 * is needed to go on.
 * No time stamp: two runs that computed the same write the same bytes.
 */
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { refuse, type Failure } from '../../dsl/errors.ts'
import { misfit } from '../arrays.ts'
import { DataConfig } from '../data/open.ts'
import { typeText, type Executable } from '../executor.ts'
import { readBytes, writeAtomic } from '../io/files.ts'
import { parseSafetensors, printSafetensors, type TensorFile } from '../io/safetensors.ts'
import { decodeProblems, type ProgramInfo, type Slot } from '../manifest.ts'
import { nearest } from '../nearest.ts'
import { join, restOf } from '../paths.ts'
import { ownVersion } from '../version.ts'
import type { RunConfig } from './config.ts'
import type { CheckpointFile, Place } from './folder.ts'
import type { State } from './loop.ts'
import { orThrow, right } from './task.ts'

/** All values are text, as the format wants it. `hash` is the training step's, `variant` the arithmetic that it ran on. */
const Metadata = t.type({
  stage: t.union([t.literal('1'), t.literal('2')]), step: t.string, seed: t.string, config: t.string, data: t.string, revision: t.string,
  program: t.string, hash: t.string, variant: t.string, vdsm: t.string, node: t.string,
})
type Metadata = t.TypeOf<typeof Metadata>

export type Checkpoint = CheckpointFile & { readonly file: TensorFile; readonly metadata: Metadata }

type Named = readonly (readonly [name: string, slot: Slot])[]

const below = (program: ProgramInfo, prefix: string, name: string): Named =>
  program.inputs.flatMap(slot => {
    const rest = restOf(slot.path, prefix)
    return rest === null ? [] : [[join(name, rest), slot] as const]
  })

/** The arrays that a training step starts from: name in the file, and slot. What is frozen lies among the parameters. */
const stateSlots = (program: ProgramInfo): Named => [...below(program, 'state', ''), ...below(program, 'frozen', 'params')]

/** Writes the state that `program` would start its next step from. Whole or not at all. */
export const writeCheckpoint = async (
  path: string, program: Executable, state: State, about: Place & { readonly config: RunConfig; readonly revision: string },
): Promise<void> => {
  const { stage, step, config, revision } = about
  const arrays = new Map(stateSlots(program.program).map(([name, { path: at, shape, dtype }]) => [name, { shape, dtype, data: state.get(at) ?? [] }]))
  const metadata: Metadata = {
    stage: stage === 1 ? '1' : '2', step: String(step), seed: String(config.seed), config: config.config, data: JSON.stringify(config.data), revision,
    program: program.program.id, hash: program.program.hash, variant: program.arithmetic, vdsm: ownVersion(), node: process.versions.node,
  }
  await orThrow(writeAtomic(path, printSafetensors(arrays, metadata)))
}

const remedyFor = 'Delete this file to continue from the checkpoint before it, or start a new run.'

/** Reads and checks a checkpoint; refuses files that are damaged or were not written by a training run. */
export const readCheckpoint = async (path: string): Promise<Checkpoint> => {
  const bytes = await orThrow(readBytes(path))
  const toContinue = (failure: Failure): Failure => (failure.kind === 'file' ? { ...failure, remedy: remedyFor } : failure)
  const file = right(E.mapLeft(toContinue)(parseSafetensors(bytes, path)))
  const metadata = Metadata.decode(file.metadata)
  if (E.isLeft(metadata)) {
    return refuse({ kind: 'file', path, message: `not a checkpoint of a training run: ${decodeProblems(metadata.left)}`, remedy: remedyFor })
  }
  const step = Number(metadata.right.step)
  if (!Number.isSafeInteger(step) || step < 0) return refuse({ kind: 'file', path, message: `its step is '${metadata.right.step}'`, remedy: remedyFor })
  return { path, stage: metadata.right.stage === '1' ? 1 : 2, step, file, metadata: metadata.right }
}

/** The data that a checkpoint was trained on; nothing where its record cannot be read. */
export const dataOf = ({ metadata }: Checkpoint): DataConfig | undefined => {
  const json = E.tryCatch((): unknown => JSON.parse(metadata.data), () => undefined)
  const decoded = E.isLeft(json) ? json : DataConfig.decode(json.right)
  return E.isLeft(decoded) ? undefined : decoded.right
}

/** What there is to say of an array of the file that has no place among `names`. */
const stray = (file: TensorFile, name: string, names: readonly string[], what: string): readonly string[] => {
  const array = file.arrays.get(name)
  if (array === undefined || names.includes(name)) return []
  const near = nearest(name, names)
  return [`${name}: the program has no such ${what} (the checkpoint has ${array.element}[${array.shape.join(', ')}])`
    + (near === undefined ? '' : `; it has ${near}`)]
}

/** What is wrong with the array of that name, if anything. */
const problemOf = (file: TensorFile, name: string, slot: Slot): readonly string[] => {
  const array = file.arrays.get(name)
  const problem = array === undefined ? `not in the checkpoint, expected ${typeText(slot)}` : misfit({ ...slot, path: name }, array)
  return problem === null ? [] : [`${name}: ${problem}`]
}

const unfitting = ({ path, metadata }: Checkpoint, program: ProgramInfo, problems: readonly string[]): void => {
  if (problems.length === 0) return
  refuse({ kind: 'arrays', program: program.id, problems: problems.slice(0, 8),
    remedy: `The model has changed since ${path} was written: check out that revision (${metadata.revision}) or start a new run.` })
}

/**
 * What stage 2 takes over from a checkpoint of stage 1: all that is frozen, and those of its own parameters that stage 1
 * has trained. Refuses checkpoints of stage 2, of another configuration, arrays that are missing or do not fit, and parameters
 * that stage 2 has no place for: one under another name would start anew, unnoticed.
 */
export const takenOver = (checkpoint: Checkpoint, program: ProgramInfo, config: string): Named => {
  const { file, metadata, path, stage } = checkpoint
  const no = (message: string, remedy: string): never => refuse({ kind: 'file', path, message, remedy })
  if (stage !== 1) no('it is a checkpoint of stage 2; stage 2 starts from one of stage 1', 'To continue a run of stage 2: vdsm train --resume RUN')
  if (metadata.config !== config) {
    no(`it was written with config ${metadata.config}, the run has config ${config}`,
      `Train with --config ${metadata.config}, or give a checkpoint of ${config}.`)
  }
  const trained = below(program, 'state.params', 'params').filter(([name]) => file.arrays.has(name))
  const taken = [...below(program, 'frozen', 'params'), ...trained]
  const names = [...below(program, 'frozen', 'params'), ...below(program, 'state.params', 'params')].map(([name]) => name)
  const strays = [...file.arrays.keys()].filter(name => restOf(name, 'params') !== null).flatMap(name => stray(file, name, names, 'parameter'))
  unfitting(checkpoint, program, [...taken.flatMap(([name, slot]) => problemOf(file, name, slot)), ...strays])
  return taken
}

/** Puts what stage 2 takes over into its training step, whose own state has its starting values already. */
export const takeOver = (checkpoint: Checkpoint, program: Executable, config: string): void => {
  for (const [name, slot] of takenOver(checkpoint, program.program, config)) program.set(slot.path, checkpoint.file.arrays.get(name)?.data ?? [])
}

/**
 * Puts a checkpoint's arrays into the training step. Refuses another seed or configuration, and arrays that do not fit, all
 * named. Returns warnings: things that make the continuation differ from a run that never stopped.
 */
export const restoreState = (checkpoint: Checkpoint, program: Executable, config: RunConfig): readonly string[] => {
  const { file, metadata, path } = checkpoint
  const same = [
    ['seed', String(config.seed), metadata.seed], ['config', config.config, metadata.config], ['program', program.program.id, metadata.program],
  ] as const
  for (const [name, here, there] of same) {
    if (here !== there) refuse({ kind: 'file', path, message: `it was written with ${name} ${there}, the run has ${name} ${here}`, remedy: remedyFor })
  }
  const slots = new Map(stateSlots(program.program))
  const problems = [
    ...[...slots].flatMap(([name, slot]) => problemOf(file, name, slot)),
    ...[...file.arrays.keys()].flatMap(name => stray(file, name, [...slots.keys()], 'state')),
  ]
  unfitting(checkpoint, program.program, problems)
  for (const [name, slot] of slots) program.set(slot.path, file.arrays.get(name)?.data ?? [])
  return [
    ...(metadata.hash === program.program.hash ? []
      : ['The training step was compiled anew with changes: what follows may differ from a run that never stopped.']),
    ...(metadata.variant === program.arithmetic ? []
      : [`The checkpoint was computed on ${metadata.variant}, this run goes on on ${program.arithmetic}: what follows may differ in the last digits.`]),
    ...(program.device === 'eager'
      ? ['The eager device computes in float64, a checkpoint holds float32: what follows differs from a run that never stopped in the last digits.'] : []),
  ]
}
