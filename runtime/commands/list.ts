/** `vdsm list`: the compiled programs with their signatures, configurations and sizes. */
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Failure } from '../../dsl/errors.ts'
import { openBuild } from '../build.ts'
import { nodeHost } from '../device/node.ts'
import { typeText } from '../executor.ts'
import type { ProgramInfo } from '../manifest.ts'
import { bytesText, flopsText, say, withBuild, type Register } from './command.ts'

type Options = { readonly build: string; readonly json?: true; readonly arrays?: true }

const arraysText = (title: string, slots: ProgramInfo['inputs']): readonly string[] =>
  [`  ${title}`, ...slots.map(slot => `    ${slot.path === '' ? '(the result)' : slot.path}  ${typeText(slot)}`)]

const programText = (program: ProgramInfo, arrays: boolean): string => {
  const config = Object.entries(program.config).map(([name, value]) => `${name}=${value}`).join(' ')
  return [
    `${program.id}  (${program.file}:${program.line})`,
    `  ${program.signature}`,
    ...(config === '' ? [] : [`  ${config}`]),
    `  ${program.stats.kernelsAfter} kernels, ${flopsText(program.stats.flops)} a call, ${bytesText(program.memoryBytes)} of memory, `
      + `${program.inputs.length} arrays in, ${program.outputs.length} out`,
    ...(arrays ? [...arraysText('takes', program.inputs), ...arraysText('returns', program.outputs)] : []),
  ].join('\n')
}

const jsonText = (programs: readonly ProgramInfo[]): string =>
  JSON.stringify(programs.map(({ kernels: _, modules: __, hash: ___, ...program }) => program), null, 2)

const listPrograms = (text: string, options: Options): TE.TaskEither<Failure, void> =>
  pipe(
    openBuild(nodeHost(options.build)),
    TE.map(({ manifest }) => manifest.programs.filter(program => program.id.includes(text))),
    TE.chainTaskK(programs => say(
      options.json === true ? jsonText(programs)
        : programs.length === 0 ? `${options.build} holds no programs${text === '' ? '' : ` with '${text}' in their id`}.`
          : programs.map(program => programText(program, options.arrays === true)).join('\n\n'),
    )),
  )

export const register: Register = (cli, settle) => {
  withBuild(cli.command('list'))
    .description('list the compiled programs with their signatures, configurations and sizes')
    .argument('[text]', 'only programs whose id contains this')
    .option('--arrays', 'every array that a program takes and returns, with its shape')
    .option('--json', 'as JSON, for other programs')
    .action((text: string | undefined, options: Options) => settle(listPrograms(text ?? '', options)))
}
