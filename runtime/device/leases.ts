/**
 * What devices with memory of their own have in common: opened once, shared by all programs that are loaded on them, closed when the last
 * of these is disposed of; and a first failure that stays, of which everybody hears.
 */
import * as E from 'fp-ts/lib/Either.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import type { Failure } from '../../dsl/errors.ts'

export type Failing = {
  /** What went wrong first; null while all is well. */
  readonly failure: () => Failure | null
  /** Reports that something went wrong. */
  readonly fail: (failure: Failure) => void
  /** Calls the listener at the first failure, or at once where there has been one; gives a function that ends that. */
  readonly onFailure: (listener: (failure: Failure) => void) => () => void
}

/** The failure of a device; after `silence` there is no new one. */
export const failures = (): Failing & { readonly silence: () => void } => {
  const listeners = new Set<(failure: Failure) => void>()
  const state: { failure: Failure | null; silent: boolean } = { failure: null, silent: false }
  return {
    failure: () => state.failure,
    fail: failure => {
      if (state.failure !== null || state.silent) return
      state.failure = failure
      for (const listener of [...listeners]) listener(failure)
      listeners.clear()
    },
    onFailure: listener => {
      if (state.failure !== null) listener(state.failure)
      else listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    silence: () => void (state.silent = true),
  }
}

/** The right to use a device until `release` is called; what it is called for the second time does nothing. */
export type Leased<D> = { readonly device: D; readonly release: () => void }

export type Leases<Key, D> = (key: Key, open: TE.TaskEither<Failure, D>) => TE.TaskEither<Failure, Leased<D>>

type Entry<D> = { readonly opening: Promise<E.Either<Failure, D>>; users: number }

/**
 * Devices by key: the same for all who ask while somebody uses it. One that has failed is not given any more: asking again opens a fresh
 * one. `left` is called when somebody releases it, but not the last.
 */
export const leasing = <Key, D extends Pick<Failing, 'onFailure'> & { readonly close: () => void }>(
  left: (device: D) => void = () => undefined,
): Leases<Key, D> => {
  const all = new Map<Key, Entry<D>>()
  return (key, open) => async () => {
    const found = all.get(key)
    const entry: Entry<D> = found ?? { opening: open(), users: 0 }
    const forget = (): void => {
      if (all.get(key) === entry) all.delete(key)
    }
    if (found === undefined) all.set(key, entry)
    entry.users++
    const opened = await entry.opening
    if (E.isLeft(opened)) {
      forget()
      return opened
    }
    const device = opened.right
    if (found === undefined) device.onFailure(forget)
    const held = { by: true }
    return E.right({
      device,
      release: () => {
        if (!held.by) return
        held.by = false
        if (--entry.users > 0) return left(device)
        forget()
        device.close()
      },
    })
  }
}
