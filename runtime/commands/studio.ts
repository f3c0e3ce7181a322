/** `vdsm studio`: a page that trains the model live, served to this machine alone. */
import { spawn } from 'node:child_process'
import { InvalidArgumentError } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../../dsl/errors.ts'
import { refuse } from '../../dsl/errors.ts'
import { openBuild } from '../build.ts'
import { nodeHost } from '../device/node.ts'
import { checkFresh } from '../fresh.ts'
import { findProgram } from '../manifest.ts'
import { bundleStudio } from '../studio/bundle.ts'
import { serveStudio } from '../studio/server.ts'
import { attempt, orThrow, right } from '../train/task.ts'
import { withBuild, type Register } from './command.ts'

type Options = { readonly build: string; readonly port: number; readonly open: boolean }

const defaultPort = 8018

const portOption = (text: string): number => {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value > 65535) throw new InvalidArgumentError('Expected a whole number from 0 to 65535.')
  return value
}

/** What the page shows first; one that trains something else says so when it is asked to. */
const FIRST = ['init', 'trainStep', 'encode', 'decode'].map(name => `vdsm/small-16/frames/${name}`)
const SMALL = FIRST.map(id => id.replace('small-16', 'tiny'))

const toCompile = (failure: Failure): Failure =>
  failure.kind === 'usage' ? { ...failure, remedy: 'Compile VDSM first: npm run compile (or: npx vdsm compile node_modules/vdsm/models).' } : failure

/** Refuses a build without the model, or of other sources than those that are there. Gives the query of the page. */
const checkBuild = async (folder: string): Promise<string> => {
  const { manifest } = await orThrow(openBuild(nodeHost(folder)))
  const has = (ids: readonly string[]): boolean => ids.every(id => E.isRight(findProgram(manifest, id)))
  const ids = !has(FIRST) && has(SMALL) ? SMALL : FIRST
  for (const id of ids) right(checkFresh(folder, right(E.mapLeft(toCompile)(findProgram(manifest, id)))))
  return ids === SMALL ? '?config=tiny&steps=200' : ''
}

/** Asks the system to show an address; where it cannot, the address has been printed. */
const openBrowser = (address: string): void => {
  const { platform, env } = process
  if (platform === 'linux' && env['DISPLAY'] === undefined && env['WAYLAND_DISPLAY'] === undefined) return
  const [command, ...args] = platform === 'darwin' ? ['open', address] : platform === 'win32' ? ['cmd', '/c', 'start', '', address] : ['xdg-open', address]
  const child = spawn(command ?? '', args, { stdio: 'ignore', detached: true })
  child.on('error', () => undefined)
  child.unref()
}

/** Until the process is asked to end. */
const untilAsked = (): Promise<void> => new Promise(done => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done())
})

const serve = async ({ build, port, open }: Options): Promise<void> => {
  const query = await checkBuild(build)
  const { files } = await bundleStudio().catch((error: unknown) =>
    refuse({ kind: 'bug', where: 'the page of the studio', message: error instanceof Error ? error.message : String(error) }))
  const served = await serveStudio(files, nodeHost(build), port)
  const address = `${served.address}${query}`
  process.stdout.write(`The studio is at ${address}  (Ctrl-C ends it)\n`)
  if (open) openBrowser(address)
  await untilAsked()
  await served.close()
}

export const register: Register = (cli, settle) => {
  withBuild(cli.command('studio')
    .summary('train the model live in a page')
    .description('serve a page to this machine alone (127.0.0.1) that trains stage 1 on the pendulum, on WebGPU, WebGL or WebAssembly, and draws what it has learnt')
    .option('--port <n>', '0: any that is free', portOption, defaultPort)
    .option('--no-open', 'do not open the page in a browser'))
    .action((options: Options) => settle(attempt(() => serve(options))))
}
