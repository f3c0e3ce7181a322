/**
 * The gradient of `contract` by one of its operands, as contractions again.
 *
 * out[o] = sum of x[..] * other[..], so dx[..] = sum of ct[o] * other[..] over every label that x does not have. Plain
 * dimensions of x need nothing more. A dimension with a window reads x at h, where  h * base = p * stride + k * dilation - pad;
 * the gradient's own label for it is h, and the sum runs over the p and k that meet at h. Two exact ways:
 *   1. Solve for one of the two: p = (h * base - k * dilation + pad) / stride. Where exactly one of ct and other carries
 *      p, as a plain dimension, and does not carry k as well, that dimension becomes the window
 *      { p: h, k, stride: base, dilation: -dilation, pad: -pad, base: stride }. (Or the same with p and k exchanged.)
 *      So the gradient of a convolution is a transposed convolution, and the other way round.
 *   2. Otherwise keep p and k through the first contraction and then contract with an identity matrix I[h', h] that is
 *      read at h' through x's own window: 1 where p and k meet at h.
 * Labels that neither ct nor other has (x was summed over them by itself) repeat: a broadcast at the end.
 */
import type { Build, Contraction, Dimension, Window } from './prim.ts'
import { labelsOf } from './infer-contract.ts'

type Sizes = Contraction['sizes']

/** The window that says where `label` (p or k of `window`) lies, given h and the other one; its base is made positive. */
const solved = (window: Window, label: string, h: string): Window => {
  const [its, others, rest] = label === window.p ? [window.stride, window.dilation, window.k] : [window.dilation, window.stride, window.p]
  const sign = its < 0 ? -1 : 1
  return { p: h, k: rest, stride: sign * window.base, dilation: -sign * others, pad: -sign * window.pad + 0, base: sign * its }
}

type Carriers = readonly [ct: readonly Dimension[], other: readonly Dimension[]]

/** Way 1 for `label` of `window`, or null where it is closed. */
const substitute = (carriers: Carriers, window: Window, label: string, h: string): Carriers | null => {
  const rest = label === window.p ? window.k : window.p
  const [inCt, inOther] = carriers.map(dims => labelsOf(dims).includes(label))
  if (inCt === inOther) return null
  const carrier = inCt ? carriers[0] : carriers[1]
  if (!carrier.includes(label) || labelsOf(carrier).includes(rest)) return null
  const changed = carrier.map(dim => (dim === label ? solved(window, label, h) : dim))
  return inCt ? [changed, carriers[1]] : [carriers[0], changed]
}

/** A contraction of which `sizes` are cut down to the labels in use. */
const contract = <T>(b: Build<T>, x: T, y: T, a: readonly Dimension[], c: readonly Dimension[], out: readonly string[], sizes: Sizes): T => {
  const used = new Set([...labelsOf(a), ...labelsOf(c)])
  return b.op('contract', [x, y], { sizes: Object.fromEntries(Object.entries(sizes).filter(([label]) => used.has(label))), a, b: c, out })
}

/** I[h', h] = 1 where h' = h, else 0. */
const identity = <T>(b: Build<T>, n: number): T => {
  const count = (axis: number): T => b.op('iota', [], { shape: [n, n], dtype: 'i32', axis })
  return b.op('cast', [b.op('eq', [count(0), count(1)], {})], { dtype: 'f32' })
}

/** The cotangent of operand `side` (of the given shape) of a contraction with the other operand `other` and cotangent `ct`. */
export const contractGradient = <T>(b: Build<T>, spec: Contraction, side: 'a' | 'b', shape: readonly number[], other: T, ct: T): T => {
  const dims = spec[side]
  const free = (n: number): string => (Object.hasOwn(spec.sizes, `h${n}`) ? free(n + dims.length) : `h${n}`)
  const result = dims.map((dim, axis) => (typeof dim === 'string' ? dim : free(axis)))
  const sizes = { ...spec.sizes, ...Object.fromEntries(result.map((label, axis) => [label, shape[axis]!] as const)) }

  const start: { readonly carriers: Carriers; readonly late: readonly number[] } = { carriers: [spec.out, spec[side === 'a' ? 'b' : 'a']], late: [] }
  const { carriers, late } = dims.reduce(({ carriers: now, late: later }, dim, axis) => {
    if (typeof dim === 'string') return { carriers: now, late: later }
    const next = substitute(now, dim, dim.p, result[axis]!) ?? substitute(now, dim, dim.k, result[axis]!)
    return next === null ? { carriers: now, late: [...later, axis] } : { carriers: next, late: later }
  }, start)

  // The dimensions that way 2 settles are still open after the first contraction: p and k in the place of h.
  const present = new Set([...labelsOf(carriers[0]), ...labelsOf(carriers[1])])
  const open = dims.flatMap((dim, axis) => (late.includes(axis) ? labelsOf([dim]) : [result[axis]!])).filter(label => present.has(label))
  const first = contract(b, ct, other, carriers[0], carriers[1], open, sizes)
  const settled = late.reduce<{ readonly value: T; readonly labels: readonly string[] }>(
    ({ value, labels }, axis) => {
      const dim = dims[axis]!
      const h = result[axis]!
      const gone = labelsOf([dim])
      const place = result.slice(0, axis)
      const kept = labels.filter(label => !gone.includes(label))
      const next = [...kept.filter(label => place.includes(label)), h, ...kept.filter(label => !place.includes(label))]
      return { value: contract(b, value, identity(b, shape[axis]!), labels, [dim, h], next, sizes), labels: next }
    },
    { value: first, labels: open },
  )
  const axes = settled.labels.map(label => result.indexOf(label))
  return axes.length === shape.length ? settled.value : b.op('broadcast', [settled.value], { shape, axes })
}
