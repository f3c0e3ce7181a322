/**
 * Chains of ten element-wise operations over 4M floats, as multiples of one pass of memory.copy over as many bytes, on one
 * thread and on two. Best of interleaved rounds. Run with `node --import tsx test/bench/chain.ts`.
 */
import v8 from 'node:v8'
import { Worker } from 'node:worker_threads'
import type { Elementwise } from '../../dsl/core/prim.ts'
import { elementwise } from '../../compiler/schedule/elementwise/elementwise.ts'
import { variable } from '../../compiler/schedule/kernel/indexing.ts'
import type { Expr } from '../../compiler/schedule/kernel/kernel.ts'
import { binary } from '../../compiler/targets/wasm/binary.ts'
import { code, memoryCopy, scalarCode, signed } from '../../compiler/targets/wasm/encode.ts'
import { partsOf, sharing } from '../compiler/wasm/nests.ts'
import { kernel, load, num, op, v } from '../compiler/wasm/plans.ts'

v8.setFlagsFromString('--no-liftoff')
v8.setFlagsFromString('--no-wasm-lazy-compilation')

const n = 1 << 22
const i = v(n)
const at = variable(i)
const chain = (prims: readonly Elementwise[]): Expr =>
  prims.reduce<Expr>((x, prim) => op(prim, ['mul', 'add', 'sub', 'maximum', 'minimum'].includes(prim) ? [x, num(prim === 'mul' ? 0.7 : 0.3)] : [x]), load(0, at))
const cheap: readonly Elementwise[] = ['mul', 'add', 'maximum', 'mul', 'sub', 'minimum', 'mul', 'add', 'maximum', 'add']
const chains: readonly (readonly [string, Expr])[] = [
  ['one operation', chain(['mul'])],
  ['ten cheap ones', chain(cheap)],
  ['eight, exp and tanh', chain(['mul', 'add', 'exp', 'mul', 'add', 'tanh', 'mul', 'add', 'maximum', 'add'])],
]

/** memory.copy of the bytes lo .. hi-1 of 16 MB that begin at 64 to `own` bytes further on. */
const copying = (memoryBytes: number): Uint8Array<ArrayBuffer> => {
  const get = (local: number): readonly number[] => [code.localGet, local]
  const from = [...get(0), code.i32Const, ...signed(64), scalarCode.i32.add]
  const body = [0, ...from, ...get(2), scalarCode.i32.add, ...from, ...get(1), ...get(0), scalarCode.i32.sub, ...memoryCopy, code.end]
  return sharing(binary({ functions: [{ name: 'copy', params: 3, body }], exports: [{ name: 'n0', fn: 0 }], data: [], memoryBytes }))
}

type Nest = (lo: number, hi: number, own: number) => void
type Task = { readonly name: string; readonly bytes: Uint8Array<ArrayBuffer>; readonly memory: WebAssembly.Memory; readonly extent: number; readonly own: number }

/** The second thread: does the upper half of task `index` whenever word 0 counts on, and says so in word 1. */
const source = `
const { workerData: { tasks, words } } = require('node:worker_threads')
require('node:v8').setFlagsFromString('--experimental-wasm-relaxed-simd')
const nests = tasks.map(t => new WebAssembly.Instance(new WebAssembly.Module(t.bytes), { env: { memory: t.memory } }).exports.n0)
for (let turn = 0; ; turn += 1) {
  while (Atomics.load(words, 0) === turn) {}
  const { extent, own } = tasks[words[2]]
  nests[words[2]](extent >> 1, extent, own)
  Atomics.add(words, 1, 1)
}`

const tasks: Task[] = chains.map(([name, value]) => {
  const parts = partsOf(kernel([i], null, { buffer: 1, at, value }), [n, n], (k, d, s) => elementwise(k, [], d, s), true, true)
  parts.floats(0).set(Float32Array.from({ length: n }, (_, j) => (j % 7) - 3))
  return { name, bytes: parts.bytes, memory: parts.memory, extent: parts.scheduled.nests[0]!.extent, own: 0 }
})
const { memory } = tasks[0]!
tasks.push({ name: 'copy', bytes: copying(memory.buffer.byteLength), memory, extent: 4 * n, own: 4 * n + 64 })

const nests = tasks.map(t => new WebAssembly.Instance(new WebAssembly.Module(t.bytes), { env: { memory: t.memory } }).exports['n0'] as Nest) // the modules export this function
const words = new Int32Array(new SharedArrayBuffer(12))
const worker = new Worker(source, { eval: true, workerData: { tasks, words } })

const whole = (index: number): void => nests[index]!(0, tasks[index]!.extent, tasks[index]!.own)
const halves = (index: number): void => {
  const { extent, own } = tasks[index]!
  const before = Atomics.load(words, 1)
  words[2] = index
  Atomics.add(words, 0, 1)
  nests[index]!(0, extent >> 1, own)
  while (Atomics.load(words, 1) === before);
}

halves(0)
for (const [threads, run] of [[1, whole], [2, halves]] as const) {
  const best = tasks.map(() => Infinity)
  for (let round = 0; round < 40; round += 1)
    tasks.forEach((_, index) => {
      const from = performance.now()
      run(index)
      best[index] = Math.min(best[index]!, performance.now() - from)
    })
  tasks.forEach(({ name }, index) => console.log(`${threads} thread${threads === 1 ? ' ' : 's'} ${name.padEnd(20)} ${best[index]!.toFixed(2).padStart(6)} ms  ${(best[index]! / best[best.length - 1]!).toFixed(2)} x copy`))
}
await worker.terminate()
