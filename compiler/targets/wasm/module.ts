/**
 * A WebAssembly module from a plan: one function per nest over a range of its parts, one per region of nests that may run
 * together (threads.ts), one function `s0`, `s1`, ... per step of the plan, and `run`, which takes all steps in order.
 * Constants are data segments; the memory is imported.
 */
import type { Buffer, Kernel, Loop, Plan, Step, Var } from '../../schedule/kernel/kernel.ts'
import { schedule, type Names } from '../../schedule/choose.ts'
import type { Dialect } from '../../schedule/nest/expression.ts'
import { mostThreads } from '../../../runtime/manifest.ts'
import { bytesOf } from '../../schedule/memory.ts'
import type { Nest, Scratch } from '../../schedule/nest/nest.ts'
import { type Block, type Call, type Node, type Range, regions, serial, usefulThreads } from '../../schedule/regions.ts'
import { nanoseconds } from '../../schedule/kernel/stats.ts'
import { spacesOf } from '../../schedule/nest/spaces.ts'
import { type Body, type Data, binary, words } from './binary.ts'
import { type Bytes, code, memoryCopy, scalarCode, signed, types, unsigned } from './encode.ts'
import { maths } from '../../schedule/nest/maths.ts'
import { printNest } from './print.ts'
import { barrier, enter, own, region, spins, syncBytes, syncZeros, threads } from './threads.ts'

export type Options = {
  /** Use relaxed fused multiply-add: faster, with one rounding or two as the machine likes. */
  readonly fma: boolean
}

export type Compiled = {
  /** The module of either kind; all else is the same for both. */
  readonly module: (options: Options) => Uint8Array<ArrayBuffer>
  /** How much memory it needs whatever the number of threads: buffers, sync words, what kernels share. */
  readonly memoryBytes: number
  /** What each thread needs besides, behind that. */
  readonly threadBytes: number
  /** The first byte of the sync words. */
  readonly sync: number
  /** How many threads it can make use of. */
  readonly threads: number
}

const align = (n: number): number => Math.ceil(n / 64) * 64

const constants = (buffers: readonly Buffer[], offsets: readonly number[]): readonly Data[] =>
  buffers.flatMap(({ id, aval, role }) =>
    role.kind === 'constant' && offsets[id]! >= 0 ? [{ at: offsets[id]!, bytes: words(role.data, aval.dtype) }] : [],
  )

/** Where positions, as signed numbers, go from the greatest to the least. */
const half = 2 ** 31
/** Where the threads' own memory begins, from `end` on: not across `half`, for loops compare positions in it. */
const ownFrom = (end: number, each: number): number => (end < half && end + mostThreads * each > half ? half : end)

/** Copies are cut into pieces of this many bytes. */
const copied = 32 * 1024

/** Runs `body` for local `i` = 0 .. size - 1. */
const counted = (i: number, size: number, body: Bytes): Bytes =>
  size === 0 ? [] : [
    code.i32Const, 0, code.localSet, ...unsigned(i), code.loop, code.empty, ...body,
    code.localGet, ...unsigned(i), code.i32Const, 1, scalarCode.i32.add, code.localTee, ...unsigned(i),
    code.i32Const, ...signed(size), scalarCode.i32.ltS, code.brIf, 0, code.end,
  ]

/** Runs `body` for the parts lo .. hi - 1, the first parameters, counting up the first. */
const fromTo = (body: Bytes): Bytes => [
  code.block, code.empty, code.loop, code.empty, code.localGet, 0, code.localGet, 1, scalarCode.i32.geS, code.brIf, 1, ...body,
  code.localGet, 0, code.i32Const, 1, scalarCode.i32.add, code.localSet, 0, code.br, 0, code.end, code.end,
]

/**
 * Compiles a plan. `offsets` gives the first byte of every buffer, `top` the first byte after all of them. The module imports `env.memory` and exports `run` and `s0`, `s1`, ...: functions of (thread, threads, spins),
 * called by all threads at once, or without arguments by one.
 */
export const compileWasm = (plan: Plan, offsets: readonly number[], top: number): Compiled => {
  const dialect: Dialect = { unit: 4, maths }
  const functions: { readonly name: string; readonly params: number; readonly body: (options: Options) => Bytes }[] = []
  /** A function that is the same in both kinds of module. */
  const add = ({ name, params, body }: Body): number => functions.push({ name, params, body: () => body }) - 1
  const sync = align(top)
  const shared = sync + syncBytes
  /** Ends of the memory that kernels share, and of what each thread has of its own. */
  let [sharedEnd, ownEnd] = [shared, 0]
  let [lastVar, lastSpace] = [2 ** 30, plan.buffers.length]
  const names: Names = {
    variable: () => (lastVar += 1),
    space: count => (lastSpace += count) - count,
  }
  const barrierFn = add({ name: 'barrier', params: 2, body: barrier(sync) })

  const bufferRange = (id: number): Range => ({ from: offsets[id]!, to: offsets[id]! + bytesOf(plan.buffers[id]!) })
  /** Puts scratch into memory behind `from`: what kernels of one step share lies apart, what threads have of their own is used again. */
  const place = (scratch: readonly Scratch[], from: number): { readonly bases: ReadonlyMap<number, Range>; readonly end: number } => {
    const bases = new Map<number, Range>()
    let [end, ownTop] = [from, 0]
    for (const { space, bytes, each } of scratch) {
      const start = each === 'kernel' ? end : ownTop
      bases.set(space, { from: start, to: start + bytes })
      if (each === 'kernel') end = align(start + bytes)
      else ownTop = align(start + bytes)
    }
    sharedEnd = Math.max(sharedEnd, end)
    ownEnd = Math.max(ownEnd, ownTop)
    return { bases, end }
  }

  const nestCall = (nest: Nest, bases: ReadonlyMap<number, Range>, private_: ReadonlySet<number>, cost: number): Call => {
    const base = (space: number): number => bases.get(space)?.from ?? offsets[space]!
    const fn = functions.push({ name: nest.name, params: nest.params.length, body: options => printNest(nest, { base, ...options }) }) - 1
    const { reads, writes } = spacesOf(nest)
    const ranges = (spaces: ReadonlySet<number>): readonly Range[] => [...spaces].filter(s => !private_.has(s)).map(s => bases.get(s) ?? bufferRange(s))
    return { fn, extent: nest.extent, reads: ranges(reads), writes: ranges(writes), cost }
  }
  const kernelNodes = (kernel: Kernel, counters: readonly Var[], from: number): { readonly nodes: readonly Node[]; readonly end: number } => {
    let end = from
    const cost = nanoseconds(kernel, plan)
    const scheduled = schedule(kernel, counters, dialect, names)
    const nodes = scheduled.flatMap(({ nests, scratch, shares }): readonly Node[] => {
      const placed = place(scratch, end)
      end = placed.end
      const private_ = new Set(scratch.filter(s => s.each === 'thread').map(s => s.space))
      return nests.map((nest, i) => ({ kind: 'call', call: nestCall(nest, placed.bases, private_, ((shares?.[i] ?? 1) * cost) / scheduled.length) }))
    })
    return { nodes, end }
  }
  const copyNode = (from: number, to: number, counters: readonly Var[]): Node => {
    const bytes = bytesOf(plan.buffers[from]!)
    const local = (i: number): Bytes => [code.localGet, i]
    const at = (id: number): Bytes => [...piece(0), code.i32Const, ...signed(offsets[id]!), scalarCode.i32.add]
    const piece = (i: number): Bytes => [...local(i), code.i32Const, ...signed(copied), scalarCode.i32.mul]
    const [lo, hi, cut] = [piece(0), piece(1), [code.i32Const, ...signed(bytes)]]
    const length: Bytes = [...hi, ...cut, ...hi, ...cut, scalarCode.i32.ltU, code.select, ...lo, scalarCode.i32.sub]
    const body = [0, ...at(to), ...at(from), ...length, ...memoryCopy, code.end]
    const fn = add({ name: 'copy', params: 3 + counters.length, body })
    return { kind: 'call', call: { fn, extent: Math.ceil(bytes / copied), reads: [bufferRange(from)], writes: [bufferRange(to)], cost: bytes / 8 } }
  }
  /** A loop as one call: a single part where nothing in it is worth cutting up, else its turns, which are independent. */
  const loopCall = (loop: Loop, nodes: readonly Node[], counters: readonly Var[], apart: boolean): Node => {
    const calls = nodes.flatMap(n => (n.kind === 'call' ? [n.call] : []))
    const args = counters.flatMap((_, i) => [code.localGet, ...unsigned(3 + i)])
    const i = apart ? 0 : 3 + counters.length
    const inner = calls.flatMap(c => [code.i32Const, 0, code.i32Const, ...signed(c.extent), code.localGet, 2, ...args, code.localGet, ...unsigned(i), code.call, ...unsigned(c.fn)])
    const turns = apart ? fromTo(inner) : counted(i, loop.counter.size, inner)
    const fn = add({ name: `loop_${loop.counter.name}`, params: 3 + counters.length, body: [1, 1, types.i32, ...turns, code.end] })
    const cost = loop.counter.size * calls.reduce((n, c) => n + c.cost, 0)
    return { kind: 'call', call: { fn, extent: apart ? loop.counter.size : 1, reads: calls.flatMap(c => c.reads), writes: calls.flatMap(c => c.writes), cost } }
  }
  const stepNodes = (step: Step, counters: readonly Var[], from: number): { readonly nodes: readonly Node[]; readonly end: number } => {
    switch (step.kind) {
      case 'kernel':
        return kernelNodes(step, counters, from)
      case 'copy':
        return { nodes: [copyNode(step.from, step.to, counters)], end: from }
      case 'loop': {
        let end = from
        const nodes = step.steps.flatMap(s => {
          const made = stepNodes(s, [...counters, step.counter], end)
          end = made.end
          return made.nodes
        })
        // turns that share memory of their kernels would get in each other's way
        const apart = step.independent === true && end === from && nodes.every(n => n.kind === 'call')
        return { nodes: [apart || serial(nodes) ? loopCall(step, nodes, counters, apart) : { kind: 'loop', counter: step.counter, nodes }], end }
      }
    }
  }

  const regionFn = (block: Extract<Block, { kind: 'region' }>, enclosing: number): number =>
    add({ name: 'region', params: own + 1 + enclosing, body: region(sync, block.tasks, enclosing, barrierFn) })
  const blockCode = (block: Block, enclosing: number): Bytes => {
    if (block.kind === 'loop') return counted(own + 1 + enclosing, block.counter.size, block.blocks.flatMap(b => blockCode(b, enclosing + 1)))
    const args = Array.from({ length: own + 1 + enclosing }, (_, i) => [code.localGet, ...unsigned(i)]).flat()
    return [...args, code.call, ...unsigned(regionFn(block, enclosing))]
  }
  const depth = (blocks: readonly Block[]): number => Math.max(0, ...blocks.map(b => (b.kind === 'loop' ? 1 + depth(b.blocks) : 0)))
  const entry = (name: string, blocks: readonly Block[]): number => {
    const inner = blocks.flatMap(b => blockCode(b, 0))
    const wait = [threads, spins].flatMap(i => [code.localGet, i])
    return add({ name, params: spins + 1, body: [1, ...unsigned(1 + depth(blocks)), types.i32, ...enter(sync, ownBase(), ownEnd), ...wait, code.call, ...unsigned(barrierFn), ...inner, code.end] })
  }
  // the steps' nests first: only then is it known where each thread's own memory begins
  const steps = plan.steps.map(step => stepNodes(step, [], shared).nodes)
  const ownBase = (): number => ownFrom(align(sharedEnd), ownEnd)
  const blocks = regions(steps.flat())
  const run = entry('run', blocks)
  const exports = [{ name: 'run', fn: run }, ...steps.map((nodes, i) => ({ name: `s${i}`, fn: entry(`step${i}`, regions(nodes)) }))]

  const data = [...constants(plan.buffers, offsets), { at: sync, bytes: new Array<number>(syncZeros).fill(0) }]
  return {
    module: options => binary({ functions: functions.map(f => ({ ...f, body: f.body(options) })), exports, data, memoryBytes: ownBase() + ownEnd }),
    memoryBytes: ownBase(), threadBytes: ownEnd, sync, threads: usefulThreads(blocks, mostThreads),
  }
}

export type Module = Omit<Compiled, 'module'> & { readonly bytes: Uint8Array<ArrayBuffer> }

/** One of the two modules of a plan. */
export const emitWasm = (plan: Plan, offsets: readonly number[], top: number, options: Options): Module => {
  const { module, ...sizes } = compileWasm(plan, offsets, top)
  return { bytes: module(options), ...sizes }
}
