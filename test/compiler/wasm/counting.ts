/**
 * Modules of small calls whose cost is made up: what compiler/schedule/regions.ts makes of them, run by the real regions
 * and barriers. Every call changes words by what they were and by words that it reads, so that a part that is done twice,
 * never, too early or too late leaves other words behind than `expected`, which goes through the calls in order.
 */
import { type Block, type Call, type Node, regions } from '../../../compiler/schedule/regions.ts'
import { type Local, type Nest, type Stmt, type Value, apply, i32 } from '../../../compiler/schedule/nest/nest.ts'
import { type Body, binary } from '../../../compiler/targets/wasm/binary.ts'
import { type Bytes, code, scalarCode, signed, types, unsigned } from '../../../compiler/targets/wasm/encode.ts'
import { printNest } from '../../../compiler/targets/wasm/print.ts'
import { barrier, enter, own, region, spins, syncBytes, syncZeros, threads } from '../../../compiler/targets/wasm/threads.ts'
import type { Threaded } from '../parallel.ts'

/**
 * word[to + p] = 3 word[to + p] + word[from + (5 p + turns) mod reach] + id, for p = 0 .. extent-1; `turns` is the sum of
 * the counters of the loops around. What it reads and what it writes are apart. Where `fails` names a word that is 1, it traps.
 */
export type Change = {
  readonly kind: 'change'; readonly id: number; readonly to: number; readonly extent: number; readonly from: number; readonly reach: number
  readonly cost: number; readonly fails?: number
}
export type Turns = { readonly kind: 'turns'; readonly times: number; readonly steps: readonly Work[] }
export type Work = Change | Turns

/** What the words are after the calls, in order. */
export const expected = (words: Int32Array, work: readonly Work[], turns = 0): void => {
  for (const w of work) {
    if (w.kind === 'turns') for (let i = 0; i < w.times; i += 1) expected(words, w.steps, turns + i)
    else for (let p = 0; p < w.extent; p += 1) words[w.to + p] = Math.imul(3, words[w.to + p]!) + words[w.from + ((5 * p + turns) % w.reach)]! + w.id
  }
}

const nestOf = (w: Change, enclosing: number): Nest => {
  const local = (id: number, name: string): Local => ({ kind: 'local', id, type: 'i32', name })
  const [lo, hi, mine, p] = [local(0, 'lo'), local(1, 'hi'), local(2, 'own'), local(100, 'p')]
  const counters = Array.from({ length: enclosing }, (_, i) => local(3 + i, 'turn'))
  const add = (a: Value, b: Value): Value => apply('add', 'i32', a, b)
  const word = (at: Value): Value => ({ kind: 'load', type: 'i32', space: 0, at: apply('mul', 'i32', at, i32(4)), offset: 0 })
  const place = apply('rem', 'i32', counters.reduce<Value>(add, apply('mul', 'i32', p, i32(5))), i32(w.reach))
  const value = add(add(apply('mul', 'i32', word(add(p, i32(w.to))), i32(3)), word(add(place, i32(w.from)))), i32(w.id))
  // a remainder by zero traps
  const checked = w.fails === undefined ? value : add(value, apply('rem', 'i32', i32(0), apply('sub', 'i32', i32(1), word(i32(w.fails)))))
  const store: Stmt = { kind: 'store', space: 0, at: apply('mul', 'i32', add(p, i32(w.to)), i32(4)), offset: 0, value: checked }
  return {
    name: `change${w.id}`, params: [lo, hi, mine, ...counters], locals: [p], extent: w.extent,
    body: [{ kind: 'for', counter: p, from: lo, to: hi, step: 1, body: [store] }],
  }
}

/** A module over so many words that does the work; its regions beside it. */
export const counting = (words: number, work: readonly Work[]): Threaded & { readonly blocks: readonly Block[] } => {
  const functions: Body[] = []
  const add = (name: string, params: number, body: Bytes): number => functions.push({ name, params, body }) - 1
  const sync = Math.ceil((4 * words) / 64) * 64
  const barrierFn = add('barrier', 2, barrier(sync))
  const get = (i: number): Bytes => [code.localGet, ...unsigned(i)]
  const node = (w: Work, enclosing: number): Node => {
    if (w.kind === 'turns') return { kind: 'loop', counter: { id: enclosing, size: w.times, name: 'turn' }, nodes: w.steps.map(s => node(s, enclosing + 1)) }
    const range = (from: number, count: number) => ({ from: 4 * from, to: 4 * (from + count) })
    const nest = nestOf(w, enclosing)
    const fn = add(nest.name, nest.params.length, printNest(nest, { base: () => 0, fma: false }))
    const call: Call = { fn, extent: w.extent, reads: [range(w.from, w.reach), range(w.to, w.extent)], writes: [range(w.to, w.extent)], cost: w.cost }
    return { kind: 'call', call }
  }
  const blocks = regions(work.map(w => node(w, 0)))
  const depth = (all: readonly Block[]): number => Math.max(0, ...all.map(b => (b.kind === 'loop' ? 1 + depth(b.blocks) : 0)))
  const inner = (block: Block, enclosing: number): Bytes => {
    const counter = unsigned(own + 1 + enclosing)
    if (block.kind === 'region') {
      const fn = add('region', own + 1 + enclosing, region(sync, block.tasks, enclosing, barrierFn))
      return [...Array.from({ length: own + 1 + enclosing }, (_, i) => get(i)).flat(), code.call, ...unsigned(fn)]
    }
    return [
      code.i32Const, 0, code.localSet, ...counter, code.loop, code.empty, ...block.blocks.flatMap(b => inner(b, enclosing + 1)),
      code.localGet, ...counter, code.i32Const, 1, scalarCode.i32.add, code.localTee, ...counter,
      code.i32Const, ...signed(block.counter.size), scalarCode.i32.ltS, code.brIf, 0, code.end,
    ]
  }
  const steps = blocks.flatMap(b => inner(b, 0))
  const top = sync + syncBytes
  const begin = [1, ...unsigned(1 + depth(blocks)), types.i32, ...enter(sync, top, 0), ...get(threads), ...get(spins), code.call, ...unsigned(barrierFn)]
  const run = add('run', spins + 1, [...begin, ...steps, code.end])
  const data = [{ at: sync, bytes: new Array<number>(syncZeros).fill(0) }]
  const bytes = binary({ functions, exports: [{ name: 'run', fn: run }], data, memoryBytes: top })
  return { bytes, memoryBytes: top, threadBytes: 0, sync, blocks }
}
