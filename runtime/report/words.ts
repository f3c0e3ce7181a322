/** Words of reports that depend on numbers. */

/** `1 frame`, `2 frames`; `more` is the word for several, by default with an s. */
export const plural = (n: number, one: string, more = `${one}s`): string => `${n} ${n === 1 ? one : more}`

/** The first few of `count` names, and how many more there are: `a, b, c and 2 more`. */
export const firstNames = (count: number, name: (i: number) => string, few = 3): string =>
  Array.from({ length: Math.min(few, count) }, (_, i) => name(i)).join(', ') + (count > few ? ` and ${count - few} more` : '')
