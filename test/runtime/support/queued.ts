/**
 * A device with a queue, made of local programs: nothing that is asked of it happens before a result is awaited, and then later,
 * in order. It has no memory that could be looked into. It can be made to fail, as a real one does: at some run, from then on for good.
 */
import { refuse, type Failure } from '../../../dsl/errors.ts'
import type { AnyArray, Executable, LocalExecutable } from '../../../runtime/executor.ts'

export type QueuedDevice = {
  /** The program on this device. */
  readonly wrap: (inner: LocalExecutable) => Executable
  /** How many runs were asked for and how many were done, of programs whose id ends so. */
  readonly counts: (id: string) => { readonly asked: number; readonly done: number }
  /** The most runs of such programs that were under way when another was asked for. */
  readonly most: (id: string) => number
}

export type QueuedOptions = {
  /** Fails at the n-th run (from 1) of programs whose id ends so. */
  readonly failAt?: { readonly id: string; readonly run: number; readonly reason?: Extract<Failure, { readonly kind: 'device' }>['reason'] }
  /** Whether programs share memory. */
  readonly shares?: boolean
}

const nextTurn = (): Promise<void> => new Promise(done => setImmediate(done))

export const queuedDevice = ({ failAt, shares = true }: QueuedOptions = {}): QueuedDevice => {
  const queue: (() => void)[] = []
  let failure: Failure | undefined
  let draining: Promise<void> = Promise.resolve()
  const [asked, done, most] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()]
  const inners = new Map<Executable, LocalExecutable>()
  const add = (counts: Map<string, number>, id: string): number => {
    const n = (counts.get(id) ?? 0) + 1
    counts.set(id, n)
    return n
  }
  const total = (counts: ReadonlyMap<string, number>, end: string): number => [...counts].reduce((n, [id, count]) => (id.endsWith(end) ? n + count : n), 0)
  let dealt = 0
  /** Does everything that was asked for up to now, some turns later. */
  const drain = async (): Promise<void> => {
    const target = dealt + queue.length
    draining = draining.then(nextTurn).then(nextTurn)
    await draining
    for (; dealt < target; dealt++) queue.shift()?.()
    if (failure !== undefined) refuse(failure)
  }
  const later = (act: () => void): void => void queue.push(() => { if (failure === undefined) act() })

  const wrap = (inner: LocalExecutable): Executable => {
    const { id } = inner.program
    const given: (readonly [LocalExecutable, readonly (readonly [string, string])[]])[] = []
    let disposed = false
    const alive = (): void => { if (disposed) throw new Error(`${id} has been disposed of`) }
    const set: Executable['set'] = (path, data) => {
      alive()
      const copy = Array.from(data)
      const slot = inner.program.inputs.find(each => each.path === path)
      if (slot === undefined || copy.length !== slot.shape.reduce((n, d) => n * d, 1)) inner.set(path, data) // refuses, at once
      later(() => inner.set(path, copy))
    }
    const refresh = (): void => {
      for (const [source, pairs] of given) {
        for (const [from, to] of pairs) inner.set(to, source.program.inputs.some(({ path }) => path === from) ? source.input(from) : source.view(from))
      }
    }
    const executable: Executable = {
      program: inner.program, device: 'webgpu', variant: 'a device with a queue', arithmetic: inner.arithmetic, threads: 1, memoryBytes: inner.memoryBytes,
      steps: inner.steps,
      set,
      setAll: arrays => Object.entries(arrays).forEach(([path, data]) => set(path, data)),
      fill: (path, write) => {
        alive()
        const view = inner.input(path).slice()
        write(view)
        later(() => inner.set(path, view))
      },
      run: () => {
        alive()
        const n = add(asked, id)
        most.set(id, Math.max(most.get(id) ?? 0, n - (done.get(id) ?? 0)))
        later(() => {
          const at = add(done, id)
          if (failAt !== undefined && id.endsWith(failAt.id) && at === failAt.run) {
            failure = { kind: 'device', device: 'a device with a queue', reason: failAt.reason ?? 'lost', message: 'the device was lost' }
            return
          }
          refresh()
          inner.run()
        })
      },
      runStep: step => later(() => inner.runStep(step)),
      feed: (output, input) => later(() => inner.feed(output, input)),
      read: (paths, of) => {
        alive()
        let values: readonly AnyArray[] = []
        later(() => {
          refresh()
          values = paths.map(path => (of === 'inputs' ? inner.input(path).slice() : inner.get(path)))
        })
        return drain().then(() => values)
      },
      done: drain,
      share: (source, pairs) => {
        const other = inners.get(source)
        if (!shares || other === undefined) return false
        given.push([other, pairs])
        return true
      },
      dispose: () => { disposed = true },
    }
    inners.set(executable, inner)
    return executable
  }
  return {
    wrap, most: end => Math.max(0, ...[...most].filter(([id]) => id.endsWith(end)).map(([, n]) => n)),
    counts: end => ({ asked: total(asked, end), done: total(done, end) }),
  }
}
