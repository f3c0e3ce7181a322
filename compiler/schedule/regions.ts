/**
 * What may run together: calls of scheduled kernels, in program order, gathered into regions. All calls of a region are
 * independent of each other, so threads take their parts in any order; between two regions every thread waits for the
 * others. Short calls that follow from each other are chained and done by one thread, which costs less than waiting.
 * Independent of any target.
 */
import type { Var } from './kernel/kernel.ts'

/** Bytes of memory. */
export type Range = { readonly from: number; readonly to: number }

/** One nest (or whole loop) as a function to be called. */
export type Call = {
  /** What the target calls. */
  readonly fn: number
  readonly extent: number
  readonly reads: readonly Range[]
  readonly writes: readonly Range[]
  /** Nanoseconds for the whole extent on one thread, roughly. */
  readonly cost: number
}

export type Node = { readonly kind: 'call'; readonly call: Call } | { readonly kind: 'loop'; readonly counter: Var; readonly nodes: readonly Node[] }

/** `chunk` parts of an extent are taken at a time; a chain of several calls is one part, its calls done in order and whole. */
export type Task = { readonly calls: readonly Call[]; readonly chunk: number; readonly parts: number }

export type Block =
  | { readonly kind: 'region'; readonly tasks: readonly Task[] }
  | { readonly kind: 'loop'; readonly counter: Var; readonly blocks: readonly Block[] }

/** Nanoseconds of work that are worth handing to another thread. */
const grain = 8_000
/** Nanoseconds that a chain may take: about what two waits cost. */
const longestChain = 4 * grain
/** Most parts of one call: more would even out nothing. */
const mostParts = 64

/** Into how many parts a call is cut. */
export const partsOf = ({ cost, extent }: Call): number => {
  const wanted = Math.max(1, Math.min(extent, mostParts, Math.floor(cost / grain)))
  return Math.ceil(extent / Math.ceil(extent / wanted))
}

const overlap = (a: readonly Range[], b: readonly Range[]): boolean => a.some(x => b.some(y => x.from < y.to && y.from < x.to))

/** Whether one of two calls writes what the other touches. */
const conflict = (a: Call, b: Call): boolean => overlap(a.writes, b.writes) || overlap(a.writes, b.reads) || overlap(a.reads, b.writes)

const costOf = (task: Task): number => task.calls.reduce((n, c) => n + c.cost, 0)

const taskOf = (call: Call): Task => {
  const chunk = Math.ceil(call.extent / partsOf(call))
  return { calls: [call], chunk, parts: Math.ceil(call.extent / chunk) }
}

/** A region with one more call, or null where the call has to wait for the region's end. */
const joined = (tasks: readonly Task[], task: Task): readonly Task[] | null => {
  const [call] = task.calls
  const clashes = tasks.filter(t => t.calls.some(c => conflict(c, call!)))
  if (clashes.length === 0) return [...tasks, task]
  const whole = [...clashes, task]
  if (whole.some(t => t.parts > 1) || whole.reduce((n, t) => n + costOf(t), 0) > longestChain) return null
  const chain: Task = { calls: whole.flatMap(t => t.calls), chunk: 1, parts: 1 }
  return [...tasks.filter(t => !clashes.includes(t)), chain]
}

export const regions = (nodes: readonly Node[]): readonly Block[] => {
  const blocks: Block[] = []
  let open: readonly Task[] = []
  const close = (): void => {
    if (open.length > 0) blocks.push({ kind: 'region', tasks: open })
    open = []
  }
  for (const node of nodes) {
    if (node.kind === 'loop') {
      close()
      blocks.push({ kind: 'loop', counter: node.counter, blocks: regions(node.nodes) })
      continue
    }
    if (node.call.extent <= 0) continue
    const task = taskOf(node.call)
    const more = joined(open, task)
    if (more === null) close()
    open = more ?? [task]
  }
  close()
  return blocks
}

/** Whether a loop is best left to one thread: nothing in it is worth cutting up. */
export const serial = (nodes: readonly Node[]): boolean => nodes.every(n => n.kind === 'call' && partsOf(n.call) === 1)

/** Nanoseconds that a thread loses at the end of a region. */
const waitCost = 1_500
/** Nanoseconds until a sleeping thread has woken up. */
const wakeCost = 50_000

/** Nanoseconds of a program on so many threads, roughly. */
const estimate = (blocks: readonly Block[], threads: number): number =>
  blocks.reduce((sum, block) => {
    if (block.kind === 'loop') return sum + block.counter.size * estimate(block.blocks, threads)
    const work = block.tasks.reduce((n, t) => n + costOf(t), 0)
    const longest = block.tasks.reduce((n, t) => Math.max(n, costOf(t) / t.parts), 0)
    return sum + Math.max(work / threads, longest) + (threads === 1 ? 0 : waitCost)
  }, 0)

/** How many threads a program can make use of: doubled as long as that saves a fifth of its time. */
export const usefulThreads = (blocks: readonly Block[], most: number): number => {
  const time = (threads: number): number => estimate(blocks, threads) + (threads === 1 ? 0 : wakeCost)
  let threads = 1
  while (2 * threads <= most && time(2 * threads) < 0.8 * time(threads)) threads *= 2
  return threads
}
