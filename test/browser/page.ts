/** The script of the page: gives the test a few functions to call, each of which uses the runtime as a page of a user's would. */
import { Refusal } from '../../dsl/errors.ts'
import { arr, load, openBuild, webHost, type Arr, type Build, type LoadOptions, type LocalOptions } from '../../runtime/index.ts'
import { perform } from '../conformance/perform.ts'
import type { Answer, Task } from '../conformance/transport.ts'
import { webStore } from '../../runtime/device/web-store.ts'
import { outcome } from './outcome.ts'

type Programs = { readonly 'model/double': { readonly inputs: { readonly x: Arr<[3]> }; readonly outputs: Arr<[3]> } }

const messageOf = async (f: () => Promise<unknown>): Promise<string> => {
  try {
    await f()
    return 'nothing was refused'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const builds = new Map<string, Promise<Build>>()
const buildAt = (address: string): Promise<Build> => {
  const known = builds.get(address) ?? openBuild(webHost(address))().then(opened => {
    if (opened._tag === 'Left') throw new Refusal(opened.left)
    return opened.right
  })
  builds.set(address, known)
  return known
}

const page = {
  /** Does a task of the conformance suite on a device: programs by id, arrays by path. */
  perform: async (options: LoadOptions, task: Task): Promise<Answer> => perform(await buildAt('/build/'), options, task),
  outcome: (id: string, options: LocalOptions) => outcome(webHost('/build/'), id, options),
  /** A build that is named by its address alone. */
  double: async (x: readonly number[]) => {
    const double = await load<Programs>({ build: '/build' })('model/double')
    return [...double({ x: arr([3], x) }).data]
  },
  /** Keeps a text, or finds the one that was kept. */
  keep: (name: string, text: string) => webStore(name).write(text),
  kept: (name: string) => webStore(name).read(),
  refusals: () => Promise.all([
    messageOf(() => load<Programs>({ build: webHost('/nowhere') })('model/double')),
    messageOf(() => load<Programs>({ build: webHost('/build'), device: 'eager' })('model/double')),
    messageOf(async () => (await load<Programs>({ build: webHost('/build') })('model/double'))({ x: 1 } as never)),
  ]),
}

Object.assign(globalThis, { page })
