/** The script of the page: gives the test a few functions to call, each of which uses the runtime as a page of a user's would. */
import { arr, load, webHost, type Arr, type LocalOptions } from '../../runtime/index.ts'
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

const page = {
  outcome: (id: string, options: LocalOptions) => outcome(webHost('/build/'), id, options),
  /** A build that is named by its address alone. */
  double: async (x: readonly number[]) => {
    const double = await load<Programs>({ build: '/build' })('model/double')
    return [...double({ x: arr([3], x) }).data]
  },
  refusals: () => Promise.all([
    messageOf(() => load<Programs>({ build: webHost('/nowhere') })('model/double')),
    messageOf(() => load<Programs>({ build: webHost('/build'), device: 'eager' })('model/double')),
    messageOf(async () => (await load<Programs>({ build: webHost('/build') })('model/double'))({ x: 1 } as never)),
  ]),
}

Object.assign(globalThis, { page })
