/**
 * A build made by hand whose one program, `threads/meet`, fails where it is told to: every thread counts itself, then all
 * wait for each other. The thread numbered `fail` divides by zero instead. Assembled byte by byte, with a barrier as
 * compiled modules have it.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { manifestVersion, type ProgramInfo } from '../../../runtime/manifest.ts'
import { temporary } from '../toy.ts'

const unsigned = (n: number): readonly number[] => (n < 128 ? [n] : [(n & 127) | 128, ...unsigned(n >>> 7)])
const section = (id: number, content: readonly number[]): readonly number[] => [id, ...unsigned(content.length), ...content]
const named = (text: string): readonly number[] => [text.length, ...new TextEncoder().encode(text)]

const [seen, phase, arrived, end] = [64, 320, 384, 448]
const [thread, threads, spins, now] = [[0x20, 0], [0x20, 1], [0x20, 2], [0x20, 3]] as const
const [zero, one, minusOne, minusOneLong] = [[0x41, 0], [0x41, 1], [0x41, 0x7f], [0x42, 0x7f]] as const
const [add, equal, multiply, divide, drop, stop] = [0x6a, 0x46, 0x6c, 0x6d, 0x1a, 0x00]
const when = (condition: readonly number[], then: readonly number[], otherwise: readonly number[] = []): readonly number[] =>
  [...condition, 0x04, 0x40, ...then, ...(otherwise.length === 0 ? [] : [0x05, ...otherwise]), 0x0b]
const at = (operation: readonly number[], offset: number): readonly number[] => [...operation, 2, ...unsigned(offset)]
const [load, store, notify, wait] = [[0x28], [0x36], [0xfe, 0x00], [0xfe, 0x01]] as const
const [atomicLoad, atomicStore, atomicAdd] = [[0xfe, 0x10], [0xfe, 0x17], [0xfe, 0x1e]] as const
const place = [...thread, 0x41, 4, multiply]

const meet = [
  ...when([...thread, ...zero, ...at(load, 0), equal], [...one, ...zero, divide, drop]),
  ...place, ...place, ...at(load, seen), ...one, add, ...at(store, seen),
  ...zero, ...at(atomicLoad, phase), 0x21, 3,
  ...when([...now, ...minusOne, equal], [stop]),
  ...when([...zero, ...one, ...at(atomicAdd, arrived), ...one, add, ...threads, equal], [
    ...zero, ...zero, ...at(atomicStore, arrived),
    ...zero, ...one, ...at(atomicAdd, phase), drop,
    ...zero, ...minusOne, ...at(notify, phase), drop,
  ], [
    0x03, 0x40,
    ...when([...zero, ...at(atomicLoad, phase), ...now, equal],
      [...when(spins, [...zero, ...now, ...minusOneLong, ...at(wait, phase), drop]), 0x0c, 1]),
    0x0b,
    ...when([...zero, ...at(atomicLoad, phase), ...minusOne, equal], [stop]),
  ]),
]

const body = [1, 1, 0x7f, ...meet, 0x0b]
const bytes = Uint8Array.from([
  0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
  ...section(1, [1, 0x60, 3, 0x7f, 0x7f, 0x7f, 0]),
  ...section(2, [1, ...named('env'), ...named('memory'), 0x02, 0x01, 1, ...unsigned(65536)]),
  ...section(3, [1, 0]),
  ...section(7, [2, ...named('run'), 0, 0, ...named('s0'), 0, 0]),
  ...section(10, [1, ...unsigned(body.length), ...body]),
])

export const meetProgram: ProgramInfo = {
  id: 'threads/meet', file: 'threads.ts', line: 1, config: {}, signature: '', parameters: ['fail'],
  inputs: [{ path: 'fail', shape: [], dtype: 'i32', offset: 0 }],
  outputs: [{ path: '', shape: [64], dtype: 'i32', offset: seen }],
  modules: { simd: 'meet.wasm', fma: 'meet.wasm' }, memoryBytes: end, threadBytes: 0, sync: phase, threads: 8, hash: '0', kernels: [],
  stats: { kernelsBefore: 0, kernelsAfter: 0, flops: 0, bytes: 0, peakBytes: end, buffers: 2 },
}

/** Writes the build into a new folder. `change`: to another program over the same module. */
export const meetBuild = (change: (program: ProgramInfo) => ProgramInfo = p => p): string => {
  const build = join(temporary(), 'build')
  mkdirSync(build)
  writeFileSync(join(build, 'manifest.json'), JSON.stringify({ version: manifestVersion, root: '..', programs: [change(meetProgram)] }))
  writeFileSync(join(build, 'meet.wasm'), bytes)
  return build
}
