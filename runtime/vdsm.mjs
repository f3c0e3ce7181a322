#!/usr/bin/env node
/**
 * The `vdsm` command: lets Node read TypeScript, then routes `compile` to the compiler and everything else to the runtime.
 * Works from any folder, also where the package is installed in another project's node_modules.
 */
import { register } from 'tsx/esm/api'

// `vdsm help run` is `vdsm run --help`.
const words = process.argv.slice(2)
const [command, ...rest] = words[0] === 'help' ? [...words.slice(1, 2), '--help'] : words

// Nothing of the user's tsconfig is needed to run: path aliases and the like are refused by the model language anyway.
register({ tsconfig: false })

// A reader that closes early (`vdsm list | head`) is no error.
process.stdout.on('error', error => {
  if (error.code !== 'EPIPE') throw error
})

const run = async () => {
  if (command === 'compile') return (await import('../compiler/cli.ts')).main(rest)
  return (await import('./cli.ts')).main(command === undefined ? ['--help'] : [command, ...rest])
}

process.exitCode = await run()
