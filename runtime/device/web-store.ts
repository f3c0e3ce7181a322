/** A text that a browser keeps from one visit to the next, in its own database (IndexedDB): in pages and in workers alike. */
import type { Store } from './webgpu/source.ts'

/** The part of IndexedDB that is used; a page may have been forbidden any. */
type Request<A> = { readonly result: A; onsuccess: (() => void) | null; onerror: (() => void) | null; onblocked?: (() => void) | null }
type Shelf = { readonly get: (key: string) => Request<unknown>; readonly put: (value: string, key: string) => Request<unknown> }
type Database = {
  readonly createObjectStore: (name: string) => unknown
  readonly transaction: (name: string, mode: 'readonly' | 'readwrite') => { readonly objectStore: (name: string) => Shelf }
  readonly close: () => void
}
type Opening = Request<Database> & { onupgradeneeded: (() => void) | null }
type Databases = { readonly open: (name: string, version: number) => Opening }

const shelf = 'texts'

const settled = <A>(request: Request<A>): Promise<A> => new Promise((done, failed) => {
  request.onsuccess = () => done(request.result)
  request.onerror = request.onblocked = () => failed(new Error('the database did not answer'))
})

const withShelf = async <A>(mode: 'readonly' | 'readwrite', use: (shelf: Shelf) => Request<A>): Promise<A> => {
  const { indexedDB } = globalThis as unknown as { readonly indexedDB?: Databases }
  if (indexedDB === undefined) throw new Error('there is no database here')
  const opening = indexedDB.open('vdsm', 1)
  opening.onupgradeneeded = () => opening.result.createObjectStore(shelf)
  const database = await settled(opening)
  try {
    return await settled(use(database.transaction(shelf, mode).objectStore(shelf)))
  } finally {
    database.close()
  }
}

/** The text of that name. What cannot be read is not there, and what cannot be written is lost: nothing depends on it. */
export const webStore = (name: string): Store => ({
  read: async () => {
    try {
      const found = await withShelf('readonly', texts => texts.get(name))
      return typeof found === 'string' ? found : null
    } catch {
      return null
    }
  },
  write: async text => {
    try {
      await withShelf('readwrite', texts => texts.put(text, name))
    } catch {
      // Then it is measured anew.
    }
  },
})
