/** Names that may have been meant by a wrong one: by the number of letters to insert, to delete or to replace. */

const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    row = row.reduce<number[]>((next, above, j) =>
      [...next, j === 0 ? i : Math.min(above + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1))], [])
  }
  return row[b.length] ?? 0
}

/** A known name, and whether it is near enough to be meant. */
export type Neighbour = { readonly name: string; readonly near: boolean }

/** All known names, the nearest first; among equally near ones in their own order. */
export const neighbours = (name: string, known: readonly string[]): readonly Neighbour[] =>
  known.map(other => [distance(name, other), other] as const).sort(([a], [b]) => a - b)
    .map(([far, other]) => ({ name: other, near: far <= Math.max(2, name.length / 4) }))

/** The known name nearest to a wrong one, if it is near enough to be meant. */
export const nearest = (name: string, known: readonly string[]): string | undefined => neighbours(name, known).find(({ near }) => near)?.name
