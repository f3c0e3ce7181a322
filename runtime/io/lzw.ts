/** GIF's variant of LZW, read strictly: a stream that ends early, or names a code that is not there yet, is noticed. */

const LONGEST = 12

/**
 * The `size` colour indices that are packed in `data` (the sub-blocks of an image, joined) with codes of `bits` + 1 bits at
 * first; or what is wrong with them. What follows the last index is left unread, as all readers of GIF do.
 */
export const unpackLzw = (data: Uint8Array, bits: number, size: number): Uint8Array | string => {
  if (bits < 1 || bits > 8) return `its colour indices are packed with codes of ${bits} bits`
  const out = new Uint8Array(size)
  const clear = 1 << bits
  const end = clear + 1
  // A code stands for the index `suffix` after what the code `prefix` stands for, `length` indices in all.
  const prefix = new Uint16Array(1 << LONGEST)
  const suffix = new Uint8Array(1 << LONGEST)
  const length = new Uint16Array(1 << LONGEST)
  for (let code = 0; code < clear; code++) {
    suffix[code] = code
    length[code] = 1
  }
  let [width, next, before] = [bits + 1, end + 1, -1]
  let [at, held, heldBits, done] = [0, 0, 0, 0]
  while (done < size) {
    while (heldBits < width) {
      const byte = data[at++]
      if (byte === undefined) return `it is cut off: ${done} of the ${size} pixels of an image are there`
      held |= byte << heldBits
      heldBits += 8
    }
    const code = held & ((1 << width) - 1)
    held >>>= width
    heldBits -= width
    if (code === end) return `an image of ${size} pixels ends after ${done}`
    if (code === clear) {
      ;[width, next, before] = [bits + 1, end + 1, -1]
      continue
    }
    if (code > next || (code === next && before < 0)) return `its data are damaged at pixel ${done} of an image`
    // The code that is just being made stands for what came before, and its first index once more.
    const source = code === next ? before : code
    const count = (length[source] ?? 0) + (code === next ? 1 : 0)
    let first = source
    for (let place = done + (length[source] ?? 0) - 1; place >= done; place--) {
      if (place < size) out[place] = suffix[first] ?? 0
      if (place > done) first = prefix[first] ?? 0
    }
    const head = suffix[first] ?? 0
    if (code === next && done + count - 1 < size) out[done + count - 1] = head
    if (before >= 0 && next < 1 << LONGEST) {
      prefix[next] = before
      suffix[next] = head
      length[next] = (length[before] ?? 0) + 1
      next++
      if (next === 1 << width && width < LONGEST) width++
    }
    before = code
    done += count
  }
  return out
}
