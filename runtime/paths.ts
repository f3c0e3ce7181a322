/** Argument paths: `params.bank[2].weight` names a leaf of a tree of records and arrays. Paths to trees and back. */

export type Tree<T> = T | { readonly [key: string]: Tree<T> } | readonly Tree<T>[]

type Segment = { readonly kind: 'key'; readonly key: string } | { readonly kind: 'index'; readonly index: number }

/** Splits a path; '' has no segments. */
export const segments = (path: string): readonly Segment[] =>
  (path.match(/\[\d+\]|[^.[\]]+/g) ?? []).map(part =>
    part.startsWith('[') ? { kind: 'index', index: Number(part.slice(1, -1)) } : { kind: 'key', key: part },
  )

/** `prefix` itself, or something within it; returns the rest (`.conv1.weight`), or null where the path lies elsewhere. */
export const restOf = (path: string, prefix: string): string | null => {
  if (path === prefix) return ''
  if (prefix === '') return path.startsWith('[') ? path : `.${path}`
  return path.startsWith(`${prefix}.`) || path.startsWith(`${prefix}[`) ? path.slice(prefix.length) : null
}

/** Prefix and rest put together: 'a' and '.b' is 'a.b', '' and '.b' is 'b'. */
export const join = (prefix: string, rest: string): string => (prefix === '' && rest.startsWith('.') ? rest.slice(1) : prefix + rest)

/** The tree whose leaves lie at those paths. A single leaf at '' is the tree itself. */
export const fromPaths = <T>(entries: readonly (readonly [string, T])[]): Tree<T> => {
  const build = (items: readonly { readonly rest: readonly Segment[]; readonly leaf: T }[]): Tree<T> => {
    const [first] = items
    if (first === undefined) return {}
    const [head] = first.rest
    if (head === undefined) return first.leaf
    const groups = new Map<string | number, { rest: readonly Segment[]; leaf: T }[]>()
    for (const item of items) {
      const [segment] = item.rest
      if (segment === undefined) continue
      const key = segment.kind === 'key' ? segment.key : segment.index
      const group = groups.get(key) ?? []
      group.push({ rest: item.rest.slice(1), leaf: item.leaf })
      groups.set(key, group)
    }
    return head.kind === 'index'
      ? [...groups].sort(([a], [b]) => Number(a) - Number(b)).map(([, group]) => build(group))
      : Object.fromEntries([...groups].map(([key, group]) => [key, build(group)]))
  }
  return build(entries.map(([path, leaf]) => ({ rest: segments(path), leaf })))
}

/** The leaves of a tree with their paths, in the tree's own order. */
export const toPaths = <T>(tree: unknown, isLeaf: (u: unknown) => u is T, prefix = ''): readonly (readonly [string, T])[] => {
  if (isLeaf(tree)) return [[prefix, tree]]
  if (Array.isArray(tree)) return tree.flatMap((child: unknown, i) => toPaths(child, isLeaf, `${prefix}[${i}]`))
  if (typeof tree !== 'object' || tree === null) return []
  return Object.entries(tree).flatMap(([key, child]) => toPaths<T>(child, isLeaf, prefix === '' ? key : `${prefix}.${key}`))
}
