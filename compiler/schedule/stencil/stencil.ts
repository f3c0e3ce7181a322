/**
 * The schedule of sums over small windows (blurs, depthwise convolutions, pooling, and their gradients). A part takes a
 * block of rows of one image, or several small images one after the other: it lays the image out in the thread's own
 * memory (layout.ts), and then goes over the outputs (sums.ts).
 */
import { decode, sizeOf } from '../nest/composite.ts'
import { divided } from '../nest/builder.ts'
import type { Dialect } from '../nest/expression.ts'
import type { Kernel, Var } from '../kernel/kernel.ts'
import { type Plot, layOut, layoutOf, least, units } from './layout.ts'
import { open } from '../nest/loops.ts'
import { type Scheduled, type Value, constOf, i32 } from '../nest/nest.ts'
import { addUp } from './sums.ts'
import { type Window, windowOf } from './window.ts'

/** Elements of an image that are laid out at once: they are to stay in the first cache, or at most in the second. */
const [fewElements, manyElements] = [6144, 32768]
/** Outputs of one part, at least; and how many parts are enough. */
const partOutputs = 1024
const enoughParts = 64

const clamp = (x: number, lo: number, hi: number): number => Math.max(lo, Math.min(hi, x))

/** Groups of rows in a block, blocks of an image, blocks in all, and blocks that make a part. */
type Cutting = { readonly block: number; readonly blocks: number; readonly total: number; readonly together: number }

const cuttingOf = (window: Window): Cutting | null => {
  const { rows, columns, outer } = window
  const images = sizeOf(outer)
  const height = units(rows)
  const { pitch } = layoutOf(window, 1)
  const within = (elements: number): number => Math.floor((elements / pitch - rows.reach - 1) / rows.step) + 1
  // rows that two blocks share are laid out twice: not more than one in five
  const fitting = Math.max(within(fewElements), Math.min(within(manyElements), Math.ceil((4 * (rows.reach + 1)) / rows.step)))
  if (fitting < 1) return null
  const least = clamp(Math.ceil(partOutputs / (columns.out.size * rows.residues)), 1, height)
  const wanted = Math.max(least, Math.ceil(height / Math.ceil(enoughParts / images)))
  const block = Math.ceil(height / Math.ceil(height / Math.min(wanted, fitting)))
  const blocks = Math.ceil(height / block)
  const total = images * blocks
  const several = Math.floor(partOutputs / (block * rows.residues * columns.out.size))
  return { block, blocks, total, together: clamp(several, 1, Math.max(1, Math.floor(total / enoughParts))) }
}

/** Schedules a windowed sum, or null where the kernel is none. The scratch space is numbered `space`. */
export const stencil = (kernel: Kernel, counters: readonly Var[], dialect: Dialect, space: number): Scheduled | null => {
  const window = windowOf(kernel, counters)
  const cutting = window === null ? null : cuttingOf(window)
  if (window === null || cutting === null) return null
  const { rows, outer } = window
  const { block, blocks, total, together } = cutting
  const layout = layoutOf(window, block)
  const scope = open(kernel.name, counters, dialect)
  const { b, own, lo, hi } = scope
  b.changes(space)
  const cells = layout.rows * layout.pitch
  b.loop('z', own, b.call('add', 'i32', own, i32(cells * dialect.unit)), 4 * dialect.unit, z => b.store(space, z, 0, constOf('f32x4', 0)))
  const times = (x: Value): Value => b.call('mul', 'i32', x, i32(together))
  b.loop('block', times(lo), b.call('min', 'i32', times(hi), i32(total)), 1, n => {
    const vars = new Map([...scope.vars, ...decode(b, outer, blocks === 1 ? n : divided(b, n, 'div', blocks))])
    const first = blocks === 1 ? i32(0) : b.call('mul', 'i32', divided(b, n, 'mod', blocks), i32(block))
    const last = blocks === 1 ? i32(units(rows)) : least(b, b.call('add', 'i32', first, i32(block)), i32(units(rows)))
    const plot: Plot = { layout, space, at: own }
    layOut({ ...scope, vars }, window, plot, blocks > 1, first, last)
    addUp({ ...scope, vars }, window, plot, first, last)
  })
  return { nests: [b.finish(Math.ceil(total / together))], scratch: [{ space, bytes: cells * 4, each: 'thread' }] }
}
