/**
 * Runs the nests of one scheduled kernel by hand, each over any part of its extent: for checks that the place where a
 * range is cut changes no bit, and for benchmarks of single kernels.
 */
import v8 from 'node:v8'
import type { Kernel } from '../../../compiler/schedule/kernel/kernel.ts'
import type { Dialect } from '../../../compiler/schedule/nest/expression.ts'
import type { Scheduled } from '../../../compiler/schedule/nest/nest.ts'
import { binary } from '../../../compiler/targets/wasm/binary.ts'
import { overShared } from '../../../runtime/device/sharing.ts'
import { maths } from '../../../compiler/schedule/nest/maths.ts'
import { printNest } from '../../../compiler/targets/wasm/print.ts'

v8.setFlagsFromString('--experimental-wasm-relaxed-simd')

/** The module over shared memory. */
export const sharing = (bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> => Uint8Array.from(overShared(bytes) ?? bytes)
const align = (n: number): number => Math.ceil(n / 64) * 64

/** Every nest as (lo, hi, own) => void, and the memory they work in. */
export type Parts = {
  readonly scheduled: Scheduled
  readonly nests: readonly ((lo: number, hi: number, own: number) => void)[]
  readonly floats: (space: number) => Float32Array
  readonly words: (space: number) => Int32Array
  /** All nests over all of their extents. */
  readonly run: () => void
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly memory: WebAssembly.Memory
}

/** Schedules and instantiates a kernel over buffers of the given numbers of elements; `schedule` numbers its scratch from `space`. */
export const partsOf = (kernel: Kernel, elements: readonly number[], schedule: (kernel: Kernel, dialect: Dialect, space: number) => Scheduled, fma = true, shared = false): Parts => {
  const scheduled = schedule(kernel, { unit: 4, maths }, elements.length)
  const bytesOf = [...elements.map(n => 4 * n)]
  for (const s of scheduled.scratch) bytesOf[s.space] = s.bytes
  const offsets: number[] = []
  let top = 64
  Array.from(bytesOf, bytes => bytes ?? 0).forEach(bytes => {
    offsets.push(top)
    top += align(bytes) + 64
  })
  const functions = scheduled.nests.map((nest, i) => ({ name: `n${i}`, params: 3, body: printNest(nest, { base: space => offsets[space]!, fma }) }))
  const pages = Math.ceil(top / 65536)
  const plain = binary({ functions, exports: functions.map(({ name }, fn) => ({ name, fn })), data: [], memoryBytes: top })
  const bytes = shared ? sharing(plain) : plain
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared })
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } })
  const nests = scheduled.nests.map((_, i) => exports[`n${i}`] as (lo: number, hi: number, own: number) => void) // the module exports these functions
  return {
    scheduled, nests, bytes, memory,
    floats: space => new Float32Array(memory.buffer, offsets[space]!, bytesOf[space]! / 4),
    words: space => new Int32Array(memory.buffer, offsets[space]!, bytesOf[space]! / 4),
    run: () => nests.forEach((nest, i) => nest(0, scheduled.nests[i]!.extent, 0)),
  }
}
