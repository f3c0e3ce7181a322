/** What all commands of the command line share: how they are registered, the build folder, how numbers are read. */
import { InvalidArgumentError, type Command } from 'commander'
import * as T from 'fp-ts/lib/Task.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { Failure } from '../../dsl/errors.ts'
import { mostThreads } from '../manifest.ts'

/** Runs a command's task: a failure is printed to stderr and becomes the exit code, a number is the exit code itself. */
export type Settle = (task: TaskEither<Failure, number | void>) => Promise<void>

/** Adds a command to the command line. */
export type Register = (cli: Command, settle: Settle) => void

const defaultBuild = 'build'

/** Adds `--build DIR`. */
export const withBuild = (command: Command): Command => command.option('--build <dir>', 'the folder of the compiled programs', defaultBuild)

const whole = (low: number, high: number, what: string) => (text: string): number => {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < low || value > high) throw new InvalidArgumentError(`Expected ${what}.`)
  return value
}

/** A seed: a whole number from 0 to 2^53 - 1. */
export const seedOption = whole(0, Number.MAX_SAFE_INTEGER, 'a whole number from 0 to 9007199254740991')

/** A whole number of at least 1. */
export const positive = whole(1, Number.MAX_SAFE_INTEGER, 'a whole number of at least 1')

/** A number of threads. */
export const threadsOption = whole(1, mostThreads, `a whole number from 1 to ${mostThreads}`)

/** Adds `--threads N`. */
export const withThreads = (command: Command): Command => command.option('--threads <n>',
  'at most so many threads; none beyond what is of use to the program, and the results are the same (default: the number of cores)', threadsOption)

/** A number above 0. */
export const positiveNumber = (text: string): number => {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('Expected a number above 0.')
  return value
}

/** One of a few words. */
export const oneOf = <const W extends readonly string[]>(...words: W) => (text: string): W[number] => {
  const found = words.find((word): word is W[number] => word === text)
  if (found === undefined) throw new InvalidArgumentError(`Expected ${words.join(' or ')}.`)
  return found
}

/** Prints to stdout. */
export const say = (text: string): T.Task<void> => () =>
  new Promise((resolve, reject) => process.stdout.write(`${text}\n`, error =>
    (error === null || error === undefined || ('code' in error && error.code === 'EPIPE') ? resolve() : reject(error))))

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
/** `12.3 MiB`. */
export const bytesText = (bytes: number): string => {
  const power = bytes < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  return `${power === 0 ? bytes : (bytes / 1024 ** power).toFixed(1)} ${units[power] ?? ''}`
}

/** `4.1 GFLOP`. */
export const flopsText = (flops: number): string =>
  flops >= 1e9 ? `${(flops / 1e9).toFixed(2)} GFLOP` : flops >= 1e6 ? `${(flops / 1e6).toFixed(2)} MFLOP` : flops >= 1e3 ? `${(flops / 1e3).toFixed(2)} kFLOP`
    : `${flops} FLOP`
