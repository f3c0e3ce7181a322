/** What every schedule for graphics processors opens a dispatch with: the group, the thread in it, and the counters of the loops around it. */
import { type Builder, builder, multiplied } from '../nest/builder.ts'
import type { Dialect } from '../nest/expression.ts'
import type { Var } from '../kernel/kernel.ts'
import type { Vars } from '../nest/loops.ts'
import type { Local, Value } from '../nest/nest.ts'

export type Threads = { readonly b: Builder; readonly dialect: Dialect; readonly group: Local; readonly thread: Local; readonly vars: Vars }

/** Opens the nest of a dispatch; `counters` are those of the enclosing loops, from the outside in. */
export const openThreads = (name: string, counters: readonly Var[], dialect: Dialect): Threads => {
  const b = builder(name)
  const group = b.param('i32', 'group')
  const thread = b.param('i32', 'thread')
  return { b, dialect, group, thread, vars: new Map(counters.map(c => [c.id, b.param('i32', c.name)])) }
}

/** The number of a thread among those of all groups. */
export const placeOf = ({ b, group, thread }: Threads, threads: number): Value => b.call('add', 'i32', multiplied(b, group, threads), thread)

/** Multiprocessors of a large device: with fewer workgroups than this some of it stands idle. */
export const processors = 132

/** The power of two that is not below n. */
export const powerAbove = (n: number): number => 2 ** Math.max(0, Math.ceil(Math.log2(n)))
