/**
 * A build made by hand for the runtime's tests: one program, `toy/step`, with a module assembled byte by byte. It adds x
 * to the state's w, passes a key and flags through, and exists in both variants (the fused one contains a relaxed
 * multiply-add whose result it drops).
 */
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { manifestVersion, printManifest, type Manifest, type ProgramInfo } from '../../runtime/manifest.ts'

const leb = (n: number): readonly number[] => (n < 128 ? [n] : [(n & 127) | 128, ...leb(n >>> 7)])
const section = (id: number, content: readonly number[]): readonly number[] => [id, ...leb(content.length), ...content]
const named = (text: string): readonly number[] => [text.length, ...new TextEncoder().encode(text)]
const body = (code: readonly number[]): readonly number[] => [...leb(code.length + 2), 0, ...code, 0x0b]
const at0 = [0x41, 0] as const
const move = (from: number, to: number): readonly number[] => [...at0, ...at0, 0x28, 2, from, 0x36, 2, to]
const add = (a: number, b: number, to: number): readonly number[] => [...at0, ...at0, 0x2a, 2, a, ...at0, 0x2a, 2, b, 0x92, 0x38, 2, to]
const zero = [0x43, 0, 0, 0, 0, 0xfd, 0x13] as const
const relaxed = [...zero, ...zero, ...zero, 0xfd, 0x85, 0x02, 0x1a] as const

export const toyModule = (fma: boolean): Uint8Array =>
  Uint8Array.from([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, [1, 0x60, 0, 0]),
    ...section(2, [1, ...named('env'), ...named('memory'), 0x02, 0x00, 1]),
    ...section(3, [3, 0, 0, 0]),
    ...section(7, [3, ...named('run'), 0, 0, ...named('s0'), 0, 1, ...named('s1'), 0, 2]),
    ...section(10, [3,
      ...body([0x10, 1, 0x10, 2]),
      ...body([...(fma ? relaxed : []), ...add(0, 8, 32), ...add(4, 12, 36)]),
      ...body([...move(16, 40), ...move(20, 44), ...move(24, 48), ...move(28, 52)]),
    ]),
  ])

export const toyProgram: ProgramInfo = {
  id: 'toy/step', file: 'toy.ts', line: 1, config: { N: 2 },
  signature: '(state: { w: Tensor<[2]> }, x: Tensor<[2]>, key: Key, flags: Tensor<[2], \'bool\'>) => ...',
  parameters: ['state', 'x', 'key', 'flags'],
  inputs: [
    { path: 'state.w', shape: [2], dtype: 'f32', offset: 0 },
    { path: 'x', shape: [2], dtype: 'f32', offset: 8 },
    { path: 'key', shape: [2], dtype: 'u32', offset: 16 },
    { path: 'flags', shape: [2], dtype: 'bool', offset: 24 },
  ],
  outputs: [
    { path: 'state.w', shape: [2], dtype: 'f32', offset: 32 },
    { path: 'bits', shape: [2], dtype: 'u32', offset: 40 },
    { path: 'flags', shape: [2], dtype: 'bool', offset: 48 },
  ],
  modules: { simd: 'step.wasm', fma: 'step.fma.wasm' },
  memoryBytes: 56, threadBytes: 0, sync: 0, threads: 1, hash: '0',
  kernels: [
    { name: 'add', places: ['toy.ts:2:1'], flops: 2, work: 2, bytes: 24, step: 0, count: 1 },
    { name: 'copy', places: ['toy.ts:3:1'], flops: 0, work: 0, bytes: 32, step: 1, count: 1 },
  ],
  stats: { kernelsBefore: 3, kernelsAfter: 2, flops: 2, bytes: 56, peakBytes: 56, buffers: 7 },
}

export const toyManifest: Manifest = { version: manifestVersion, root: '..', programs: [toyProgram] }

const source = `
export const step = {
  call: (state, x, key, flags) => ({
    state: { w: { shape: [2], dtype: 'f32', data: Float64Array.from(state.w.data, (w, i) => w + x.data[i]) } },
    bits: key,
    flags,
  }),
}
export const notAProgram = () => 1
`

const made: string[] = []
process.on('exit', () => made.forEach(folder => rmSync(folder, { recursive: true, force: true })))

/** A folder of its own in the system's temporary place, removed when the tests end. */
export const temporary = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'vdsm-test-'))
  made.push(folder)
  return folder
}

/** Writes the build below a new folder and gives the paths of both. */
export const toyBuild = (change: (manifest: Manifest) => unknown = m => m): { readonly folder: string; readonly build: string } => {
  const folder = temporary()
  const build = join(folder, 'build')
  mkdirSync(build)
  const changed = change(toyManifest)
  writeFileSync(join(build, 'manifest.json'), changed === toyManifest ? printManifest(toyManifest) : typeof changed === 'string' ? changed
    : JSON.stringify(changed))
  writeFileSync(join(build, 'step.wasm'), toyModule(false))
  writeFileSync(join(build, 'step.fma.wasm'), toyModule(true))
  writeFileSync(join(folder, 'toy.ts'), source)
  return { folder, build }
}
