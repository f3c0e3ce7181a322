/** Identifiers of a text: what a label becomes, names that are used once, and what functions are called. */
import type { Named } from '../../schedule/nest/nest.ts'

/** A label as an identifier: letters, digits and single underscores, a letter first. */
export const identifier = (label: string): string => {
  const plain = label.replace(/[^A-Za-z0-9]+/g, '_').replace(/^_+|_+$/g, '')
  return /^[A-Za-z]/.test(plain) ? plain : `v${plain === '' ? '' : '_'}${plain}`
}

/** Gives every label a name that no other has: `i`, `i_2`, `i_3`. `taken` has those that stand already, and gets the new ones; `reserved` ones nobody gets. */
export const namingBut = (reserved: (name: string) => boolean, taken: Set<string> = new Set()): ((label: string) => string) => {
  const counts = new Map<string, number>()
  return label => {
    const base = identifier(label)
    for (;;) {
      const n = (counts.get(base) ?? 0) + 1
      counts.set(base, n)
      const name = n === 1 ? base : `${base}_${n}`
      if (taken.has(name) || reserved(name)) continue
      taken.add(name)
      return name
    }
  }
}

/** What a function of f32 is called that a text defines for itself. */
export const functionName = (named: Named): string =>
  typeof named === 'string' ? `${named}_f32` : `pow_${identifier(`f32 ${named.pow}`.replace('-', 'minus ').replace('.', ' point '))}`
