/**
 * Whatever schedule a kernel gets, its parts are independent: cut anywhere and done in any order, whatever lies in scratch
 * memory, they leave the same bits as done at once. The module cuts by guesses of cost, so that only some of the cuts
 * would be seen there.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { plan as planOf } from '../../../compiler/fuse/plan.ts'
import type { Func } from '../../../compiler/ir/ir.ts'
import { count, range } from '../../../compiler/ir/view.ts'
import { schedule } from '../../../compiler/schedule/choose.ts'
import type { Dialect } from '../../../compiler/schedule/nest/expression.ts'
import type { Kernel } from '../../../compiler/schedule/kernel/kernel.ts'
import type { Scheduled } from '../../../compiler/schedule/nest/nest.ts'
import { optimise } from '../../../compiler/transform/passes.ts'
import { randomDense, stream } from '../arbitrary.ts'
import { adam, blur, conv, convFits, convT, convTFits, integers, moved, pairwise, product, reductions, softmax } from '../shapes.ts'
import { partsOf } from './nests.ts'

/** All stages of a kernel as one list; scratch is numbered from `space`. */
const stages = (kernel: Kernel, dialect: Dialect, space: number): Scheduled => {
  let [lastVar, lastSpace] = [2 ** 30, space]
  const made = schedule(kernel, [], dialect, { variable: () => (lastVar += 1), space: n => (lastSpace += n) - n })
  return { nests: made.flatMap(s => s.nests), scratch: made.flatMap(s => s.scratch) }
}

/** An extent in pieces, in disorder. */
const pieces = (extent: number, next: () => number, longest: number): readonly (readonly [number, number])[] => {
  const cuts = [0]
  while (cuts.at(-1)! < extent) cuts.push(Math.min(extent, cuts.at(-1)! + 1 + Math.floor(next() * longest)))
  return cuts.slice(1).map((hi, i) => ({ piece: [cuts[i]!, hi] as const, key: next() })).sort((x, y) => x.key - y.key).map(p => p.piece)
}

/** A NaN that nothing computes. */
const stale = 0x7fc0abcd

/** Checks all kernels of a function that are not in loops, with NaN in all scratch memory that no part of its own has written; returns how many stages have several parts. */
const agrees = (func: Func, fma: boolean): number => {
  const plan = planOf(optimise(func))
  const kernels = plan.steps.flatMap(s => (s.kind === 'kernel' ? [s] : []))
  return kernels.reduce((several, kernel) => {
    const { scheduled, nests, words, floats, memory } = partsOf(kernel, plan.buffers.map(b => count(b.aval.shape)), stages, fma)
    for (const { id, aval } of plan.buffers) (aval.dtype === 'f32' ? floats : words)(id).set(randomDense(aval, id).data)
    /** What threads have of their own holds nothing from one piece to the next. */
    const spoil = (each: 'kernel' | 'thread'): void => scheduled.scratch.forEach(s => s.each === each && words(s.space).fill(stale))
    spoil('kernel')
    const all = new Uint8Array(memory.buffer)
    const before = all.slice()
    const results = (): readonly Int32Array[] => kernel.stores.map(s => words(s.buffer).slice())
    nests.forEach((nest, i) => nest(0, scheduled.nests[i]!.extent, 0))
    const want = results()
    const next = stream(nests.length)
    for (const longest of [1, 4]) {
      all.set(before)
      nests.forEach((nest, i) => pieces(scheduled.nests[i]!.extent, next, longest).forEach(([lo, hi]) => {
        spoil('thread')
        nest(lo, hi, 0)
      }))
      results().forEach((got, i) => {
        const first = got.findIndex((x, k) => x !== want[i]![k])
        if (first >= 0) assert.unreachable(`${kernel.name}${fma ? ' (fma)' : ''}: result ${i} differs at ${first} in pieces of up to ${longest}`)
      })
    }
    return several + scheduled.nests.filter(n => n.extent > 1).length
  }, 0)
}

const show = (choice: unknown): string => JSON.stringify(choice)
/** All agree, and at least `least` stages of kernels have several parts. */
const suite = <S>(name: string, sizes: readonly S[], func: (size: S) => Func, least: number): void =>
  test(name, () => {
    let several = 0
    sizes.forEach((size, i) => {
      try {
        several += agrees(func(size), i % 2 === 0)
      } catch (error) {
        throw new Error(`${show(size)}: ${String(error)}`, { cause: error })
      }
    })
    assert.ok(several >= least, `only ${several} stages have several parts`)
  })

const options = { stride: [1, 2, 3], pad: [0, 1, 2], dilation: [1, 2], images: ['one', 'shared', 'each'] } as const
const images = { ...options, c: [1, 3, 16], o: [3, 8, 17], h: [3, 17, 33], w: [5, 17, 33], kh: [1, 3, 4], kw: [2, 3, 5] } as const
const whole = { ...images, groups: [1] } as const
const inGroups = { ...images, c: [2, 6], o: [6, 12], groups: [2, 'own'] } as const

suite('convolutions', [...pairwise(whole, s => convFits(s)), ...pairwise(inGroups, s => convFits(s))], conv, 20)
suite('transposed convolutions', [
  ...pairwise({ ...whole, more: [0, 1] } as const, s => convTFits(s)), ...pairwise({ ...inGroups, more: [0, 1] } as const, s => convTFits(s)),
], convT, 20)
suite('products', pairwise({
  m: [1, 17, 65], n: [7, 63, 130], k: [1, 33, 301], turned: ['none', 'a', 'b', 'both'], out: ['mn', 'nm'], batched: ['no', 'both', 'one'],
  around: ['nothing', 'epilogue', 'prologue'],
} as const), product, 10)
suite('blurs', pairwise({ c: [1, 3, 16], h: [7, 33, 65], w: [1, 17, 63], taps: [3, 4, 5], stride: [1, 2, 3] } as const), blur, 10)
suite('reductions', [[[65, 63], [0]], [[65, 63], [1]], [[3, 40_001], [1]], [[40_001, 3], [0]], [[33, 17, 65], [1]], [[100_003], [0]]] as const,
  ([shape, axes]) => reductions(shape, axes), 8)
suite('softmax', [[[65, 63], 0], [[65, 63], 1], [[3, 5001], 1]] as const, ([shape, axis]) => softmax(shape, axis), 5)
suite('elements', range(3), i => [moved(40, 7, 33), integers(5003), adam([4097, 7])][i]!, 6)

test.run()
