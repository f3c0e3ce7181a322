/**
 * metrics.jsonl: one JSON object a step, in the order of the steps, written at once (no buffer of ours), so that a file
 * that is read while a run goes on, or after it was killed, is complete up to the last step.
 */
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { Refusal } from '../../dsl/errors.ts'
import { writeAtomic, writeFailure } from '../io/files.ts'
import { comparePlaces, type Place } from './folder.ts'
import { orThrow } from './task.ts'

/** One line: its stage and step (counted from 1: how many are done), and numbers by name. */
export type MetricsLine = Readonly<Record<string, number | string>> & Place

export type MetricsFile = {
  readonly append: (line: MetricsLine) => void
  /** Forces what was written onto the disk. */
  readonly flush: () => void
  readonly close: () => void
}

const guarded = <A>(path: string, act: () => A): A => {
  try {
    return act()
  } catch (error) {
    throw new Refusal(writeFailure(path, error))
  }
}

/** Opens the file for appending; creates it where it is missing. */
export const openMetrics = (path: string): MetricsFile => {
  const file = guarded(path, () => openSync(path, 'a'))
  return {
    append: line => guarded(path, () => void writeSync(file, `${JSON.stringify(line)}\n`)),
    flush: () => guarded(path, () => fsyncSync(file)),
    close: () => closeSync(file),
  }
}

const isLine = (u: unknown): u is MetricsLine =>
  typeof u === 'object' && u !== null && 'step' in u && typeof u.step === 'number' && 'stage' in u && (u.stage === 1 || u.stage === 2)

const parseLine = (text: string): readonly MetricsLine[] => {
  try {
    const line: unknown = JSON.parse(text)
    return isLine(line) ? [line] : []
  } catch {
    return [] // a line torn by a crash
  }
}

/** The lines of a metrics file; a torn line counts as absent, a missing file as empty. */
export const readMetrics = (path: string): readonly MetricsLine[] => {
  try {
    return readFileSync(path, 'utf8').split('\n').flatMap(parseLine)
  } catch {
    return []
  }
}

/** Drops every line after a place in the run: a resumed run writes them again. */
export const truncateMetrics = async (path: string, place: Place): Promise<void> => {
  const kept = readMetrics(path).filter(line => comparePlaces(line, place) <= 0)
  await orThrow(writeAtomic(path, kept.map(line => `${JSON.stringify(line)}\n`).join('')))
}
