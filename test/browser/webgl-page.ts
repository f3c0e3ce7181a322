/** The script of the page of webgl.test.ts: the device webgl on programs written by hand, and what happens when it fails. */
import { print, Refusal } from '../../dsl/errors.ts'
import { open, webglHere } from '../../runtime/browser.ts'
import { webHost } from '../../runtime/device/web.ts'
import { checkProgram, loader } from '../runtime/webgl/support/calls.ts'

const messageOf = async (f: () => Promise<unknown>): Promise<string> => {
  try {
    await f()
    return 'nothing was refused'
  } catch (error) {
    return error instanceof Refusal ? print(error.failure) : error instanceof Error ? error.message : String(error)
  }
}

const host = webHost('/build/')

const page = {
  here: () => webglHere(),
  refused: () => messageOf(() => webglHere()),
  check: () => messageOf(() => checkProgram(host, {})),
}

Object.assign(globalThis, { page })
void open
void loader
