/**
 * Long reductions of few results in two stages: a fixed number of partial results, which are independent parts, and a
 * kernel that joins them in their order and does the stores. Chunks of the reduced variables become variables of the result.
 */
import { mapKernel } from '../kernel/collapse.ts'
import { sizeOf } from '../nest/composite.ts'
import { add, indexing, linear, scale, shift, substitute, variable } from '../kernel/indexing.ts'
import type { Kernel, Var } from '../kernel/kernel.ts'
import { type Reduce } from './reduce.ts'

/** `partial` kernels fill the `elements` of a scratch space, `whole` joins them. */
export type Staged = { readonly partial: readonly Kernel[]; readonly whole: Kernel; readonly elements: number }

/** How long a chunk of a variable is: whole groups of sixteen if it can be, and a length near by that leaves no remainder if there is one. */
const chunkOf = (size: number, parts: number): number => {
  const even = size >= 32 * parts ? 16 : 1
  const wanted = Math.ceil(size / parts / even) * even
  const near = Array.from({ length: 1 + wanted / even }, (_, i) => wanted + (i % 2 === 0 ? -i / 2 : (i + 1) / 2) * even)
  return near.find(chunk => size % chunk === 0 && chunk <= size / 2) ?? wanted
}

/** Outer variables with no more values than this are taken whole, one chunk for each value. */
const short = 32

/**
 * Splits the reduction of a kernel into about `parts` chunks, along the first of the variables in `order`; `lastId` is the
 * greatest id of a variable so far, `counter` gives the size of an enclosing loop.
 */
export const staged = (
  kernel: Kernel & { readonly reduction: Reduce }, order: readonly Var[], parts: number, space: number, lastId: number, counter: (id: number) => number,
): Staged => {
  const { vars, reduction } = kernel
  let whole: readonly Var[] = []
  while (whole.length + 1 < order.length && sizeOf(order.slice(0, whole.length + 1)) <= Math.max(parts, short)) whole = order.slice(0, whole.length + 1)
  const split = order[whole.length]!
  const wanted = Math.ceil(parts / sizeOf(whole))
  const chunk = wanted <= 1 ? split.size : chunkOf(split.size, wanted)
  const count = Math.floor(split.size / chunk)
  const rest = split.size - count * chunk
  const inner = reduction.vars.filter(v => v !== split && !whole.includes(v))
  const [block, step, last]: readonly Var[] = [
    { id: lastId + 1, size: count, name: `${split.name}s` },
    { id: lastId + 2, size: chunk, name: split.name },
    { id: lastId + 3, size: rest, name: split.name },
  ]
  const chunks = sizeOf(whole) * (rest === 0 ? count : count + 1)
  const results = sizeOf(vars)
  const at = linear(vars.map(variable), vars.map(v => v.size))
  /** The kernel for a part of the split variable, which counts `index`; its partial results begin at chunk `from`. */
  const part = (blocks: readonly Var[], over: Var, index: ReturnType<typeof variable>, from: number): Kernel => {
    const all = [...vars, ...reduction.vars, ...blocks, over]
    const algebra = indexing(id => all.find(v => v.id === id)?.size ?? counter(id))
    const done = mapKernel({ ...kernel, stores: [] }, i => substitute(algebra, i, id => (id === split.id ? index : undefined)))
    const places = [...whole, ...blocks]
    const place = shift(linear(places.map(variable), places.map(v => v.size)), from)
    return {
      ...done, name: `${kernel.name}, partial`, vars: [...places, ...vars],
      reduction: { ...(done.reduction as Reduce), vars: [...inner, over] }, // a mapped reduction stays of its kind
      stores: [{ buffer: space, at: add(scale(place, results), at), value: { kind: 'acc', dtype: reduction.dtype } }],
    }
  }
  const partial = [
    part([block!], step!, add(scale(variable(block!), chunk), variable(step!)), 0),
    ...(rest === 0 ? [] : [part([], last!, shift(variable(last!), count * chunk), sizeOf(whole) * count)]),
  ]
  const each: Var = { id: lastId + 4, size: chunks, name: 'chunk' }
  const value = { kind: 'load' as const, buffer: space, at: add(scale(variable(each), results), at), dtype: reduction.dtype }
  return { partial, whole: { ...kernel, reduction: { ...reduction, vars: [each], value } }, elements: chunks * results }
}
