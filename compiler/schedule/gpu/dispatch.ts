/**
 * What the schedules for graphics processors produce: a kernel as one dispatch or several, each a nest that every thread of
 * a grid of workgroups runs. Positions in memory count elements (a dialect's unit is 1).
 */
import { type Local, type Nest, type Scratch, type Stmt, type Type, lanesOf } from '../nest/nest.ts'

/**
 * Memory of a workgroup, numbered as a space beside the buffers; what lies in it is lost when the workgroup ends. `elements`
 * are of its type: where that is a vector, there are four times as many scalars, which positions count, and it is read and written as `quads` are.
 */
export type Shared = {
  readonly space: number
  readonly type: Type
  readonly elements: number
  /** What f32 is kept in, where that is not left to the target: `half` rounds what is stored. Left and right matrices lie in that, sums in `full`. */
  readonly kept?: 'half' | 'full'
}

/**
 * One dispatch. The nest's params are [group, thread, ...counters of the enclosing loops, from the outside in]; it is run for
 * group = 0 .. extent-1 and thread = 0 .. threads-1. Workgroups run in any order and know nothing of each other.
 */
export type Dispatch = {
  readonly nest: Nest
  /** Threads of a workgroup, at most 256. */
  readonly threads: number
  /** At most 16 KiB together; 32 KiB of a nest with matrices. */
  readonly shared: readonly Shared[]
  /**
   * Buffers that are read and written in vectors of four only, at positions (with their offset) that are multiples of four,
   * and whose number of elements is one, too.
   */
  readonly quads: ReadonlySet<number>
  /** Of a nest with matrices: the parameter, after all others, that numbers the subgroups of a workgroup. They have `subgroupThreads` threads each. */
  readonly subgroup?: Local
}

/** A kernel's dispatches in order, each seeing what those before it have stored, and the memory (`each: 'kernel'`) between them. */
export type Dispatched = { readonly dispatches: readonly Dispatch[]; readonly scratch: readonly Scratch[] }

/**
 * How a kernel may be dispatched, the best by default first: a device may measure all that it can run and keep another. Some of them have no need
 * of subgroups.
 */
export type Alternatives = readonly [Dispatched, ...Dispatched[]]

/** The fewest storage buffers that a device gives a kernel: no dispatch may touch more (workgroup memory does not count). */
export const mostBuffers = 8
export const mostThreads = 256
export const mostSharedBytes = 16384
/** The same for dispatches with matrices, which no device has to be able to run. */
export const mostMatrixBytes = 32768
export const subgroupThreads = 32

/** Bytes of workgroup memory that a dispatch takes. */
export const sharedBytesOf = ({ shared }: Pick<Dispatch, 'shared'>): number =>
  shared.reduce((n, s) => n + (s.kept === 'half' ? 2 : 4) * lanesOf(s.type) * s.elements, 0)

const joins = (s: Stmt): boolean =>
  s.kind === 'join' || (s.kind === 'for' && s.body.some(joins)) || (s.kind === 'if' && (s.then.some(joins) || s.otherwise.some(joins)))
/** Whether only devices that have subgroups can run a dispatch. */
export const needsSubgroups = ({ nest, subgroup }: Pick<Dispatch, 'nest' | 'subgroup'>): boolean => subgroup !== undefined || nest.body.some(joins)
