/** Numbers that come back from textures, without waiting for the device on the page's thread. */
import type { Sheet } from './library.ts'
import { gl as n, type Gl, type GlBuffer, type GlFramebuffer } from './source.ts'

const pause = (milliseconds: number): Promise<void> => new Promise(done => setTimeout(done, milliseconds))

type Channel = { readonly port1: { onmessage: () => void; readonly close: () => void }; readonly port2: { readonly postMessage: (message: null) => void } }
/** As pages have it. */
const { MessageChannel } = globalThis as unknown as { readonly MessageChannel: new () => Channel }

/** The next task: timers would not come for some milliseconds. */
const nextTask = (): Promise<void> => new Promise(done => {
  const { port1, port2 } = new MessageChannel()
  port1.onmessage = () => {
    port1.close()
    done()
  }
  port2.postMessage(null)
})

/** So many milliseconds the device is asked at every task; then ever less often. */
const eager = 4

/** Resolves when the device has done all that it has been given. Browsers tell only between tasks, so it is asked again and again. */
export const finished = async (gl: Gl, broken: () => never): Promise<void> => {
  const sync = gl.fenceSync(n.commandsDone, 0)
  gl.flush()
  if (sync === null) return broken()
  const since = performance.now()
  for (let wait = 0; ;) {
    const status = gl.clientWaitSync(sync, 0, 0)
    if (status === n.alreadyDone || status === n.conditionSatisfied) break
    if (status === n.waitFailed || gl.isContextLost()) return broken()
    if (performance.now() - since < eager) await nextTask()
    else await pause(wait = Math.min(8, wait + 1))
  }
  gl.deleteSync(sync)
}

export type Part = { readonly sheet: Sheet; readonly texels: number }

export type Readback = (parts: readonly Part[]) => Promise<readonly Float32Array[]>

/** Readings come in the order in which they were asked for. `broken` is called, and has to throw, where the device failed meanwhile. */
export const readback = (gl: Gl, broken: () => never): Readback => {
  const state: { framebuffer: GlFramebuffer | null; channels: number } = { framebuffer: null, channels: 0 }
  /** One number a texel where the driver gives them so; otherwise four, as every driver does. */
  const channelsHere = (): number => {
    if (state.channels === 0) state.channels = gl.getParameter(n.readFormat) === n.red && gl.getParameter(n.readType) === n.float ? 1 : 4
    return state.channels
  }
  const start = ({ sheet, texels }: Part): { readonly buffer: GlBuffer; readonly channels: number; readonly texels: number } => {
    state.framebuffer ??= gl.createFramebuffer()
    gl.bindFramebuffer(n.framebuffer, state.framebuffer)
    gl.framebufferTexture2D(n.framebuffer, n.color0, n.texture2d, sheet.texture, 0)
    const channels = channelsHere()
    const [width = 0, height = 0] = Array.from(sheet.size)
    // Only the rows that have numbers of the array.
    const rows = Math.min(height, Math.ceil(texels / width))
    const buffer = gl.createBuffer()
    if (buffer === null) return broken()
    gl.bindBuffer(n.packBuffer, buffer)
    gl.bufferData(n.packBuffer, 4 * channels * width * rows, n.streamRead)
    gl.readPixels(0, 0, width, rows, channels === 1 ? n.red : n.rgba, n.float, 0)
    gl.bindBuffer(n.packBuffer, null)
    // A texture that is still attached could not be read by a kernel.
    gl.framebufferTexture2D(n.framebuffer, n.color0, n.texture2d, null, 0)
    return { buffer, channels, texels }
  }
  const bring = async (parts: readonly Part[], before: Promise<unknown>): Promise<readonly Float32Array[]> => {
    const started = parts.map(part => (part.texels === 0 ? null : start(part)))
    await finished(gl, broken)
    await before
    const all = started.map(one => {
      if (one === null) return new Float32Array()
      const { buffer, channels, texels } = one
      const numbers = new Float32Array(channels * texels)
      gl.bindBuffer(n.packBuffer, buffer)
      gl.getBufferSubData(n.packBuffer, 0, numbers)
      gl.bindBuffer(n.packBuffer, null)
      gl.deleteBuffer(buffer)
      return channels === 1 ? numbers : Float32Array.from({ length: texels }, (_, i) => numbers[channels * i] ?? NaN)
    })
    if (gl.isContextLost()) broken()
    return all
  }
  // Each waits by timers of its own, of which a later one may come first.
  let last: Promise<unknown> = Promise.resolve()
  return parts => {
    const coming = bring(parts, last)
    last = coming.catch(() => undefined)
    return coming
  }
}
