/**
 * The command line: routes to the commands and prints failures. Exit codes: 0 done, 1 failed, 2 wrongly called. Only the
 * module of the command that was named is loaded, so that starting is quick.
 */
import { Command, CommanderError } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import { print, Refusal, type Failure } from '../dsl/errors.ts'
import type { Register, Settle } from './commands/command.ts'
import { ownVersion } from './version.ts'

const commands: Readonly<Record<string, () => Promise<{ readonly register: Register }>>> = {
  train: () => import('./commands/train.ts'),
  generate: () => import('./commands/generate.ts'),
  transfer: () => import('./commands/transfer.ts'),
  continue: () => import('./commands/continue.ts'),
  reconstruct: () => import('./commands/reconstruct.ts'),
  evaluate: () => import('./commands/evaluate.ts'),
  run: () => import('./commands/run.ts'),
  list: () => import('./commands/list.ts'),
  bench: () => import('./commands/bench.ts'),
  devices: () => import('./commands/devices.ts'),
  studio: () => import('./commands/studio.ts'),
  bundle: () => import('./commands/bundle.ts'),
}

const codeOf = (failure: Failure): number => (failure.kind === 'usage' ? 2 : 1)

/** A mistake on the command line in the words of the one printer. */
const usageOf = (error: CommanderError, name: string): Failure => {
  const [message = '', ...more] = error.message.replace(/^error: /, '').split('\n')
  const hint = more.join(' ').replace(/^\((.*)\)$/, '$1').trim()
  return { kind: 'usage', message, remedy: `${hint === '' ? '' : `${hint} `}See: vdsm ${name}--help` }
}

const complain = (failure: Failure): number => {
  process.stderr.write(`${print(failure)}\n`)
  return codeOf(failure)
}

/** Whatever was thrown, as a failure: what is no refusal is a bug of ours. */
const failureOf = (error: unknown, name: string): Failure => {
  if (error instanceof Refusal) return error.failure
  if (error instanceof CommanderError) return usageOf(error, name)
  return { kind: 'bug', where: 'the command line', message: error instanceof Error ? (error.stack ?? error.message) : String(error) }
}

/** Runs a command line without the program's own name, e.g. ['run', 'my/step', '--out', 'y.npz']; gives the exit code. */
export const main = async (argv: readonly string[]): Promise<number> => {
  let code = 0
  const settle: Settle = async task => {
    const result = await task()
    code = E.isLeft(result) ? complain(result.left) : (result.right ?? 0)
  }
  const [first = ''] = argv
  const command = Object.hasOwn(commands, first) ? commands[first] : undefined
  const named = command === undefined ? '' : `${first} `
  const cli = new Command('vdsm')
    .description('Compiles tensor programs written in TypeScript, runs them, trains VDSM, and makes videos with it.')
    .version(ownVersion(), '--version')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ writeErr: text => (text.startsWith('Usage:') ? process.stderr.write(text) : undefined), outputError: () => undefined })
  // Compiling is the compiler's own command; it is described here for the overview.
  cli.command('compile').argument('[paths...]', 'files or folders').description('compile the programs in these files (default: models/)')
  try {
    for (const load of command === undefined ? Object.values(commands) : [command]) (await load()).register(cli, settle)
    await cli.parseAsync([...argv], { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError && ['commander.helpDisplayed', 'commander.version'].includes(error.code)) return 0
    if (error instanceof CommanderError && error.code === 'commander.help') return 2
    return complain(failureOf(error, named))
  }
}
