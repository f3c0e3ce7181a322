/**
 * Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): a function from a
 * 64-bit key and a 64-bit counter to 64 random bits.
 *
 * What `randomBits` yields, bit by bit, on every target: under key (k0, k1), element i (row-major, counted from 0 within
 * the one key) is the FIRST word of the block with counter (i, 0). The second word is not used, and the number of
 * elements drawn does not enter: the first n of m > n draws are the n draws. A batch of keys draws for each key by itself.
 *
 * The function on words x0, x1 (all sums modulo 2^32, rotations to the left):
 *   k2 = k0 ^ k1 ^ 0x1bd11bda;  x0 += k0;  x1 += k1
 *   for r = 0 .. 19:
 *     x0 += x1;  x1 = rotate(x1, R[r mod 8]) ^ x0        R = 13 15 26 6 17 29 16 24
 *     after every fourth round, s = (r + 1) / 4:  x0 += k[s mod 3];  x1 += k[(s + 1) mod 3] + s
 */

const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const

/** Writes both words of the block for counter (x0, x1) under key (k0, k1) to `out[0]` and `out[1]`. */
export const threefry2x32 = (k0: number, k1: number, x0: number, x1: number, out: Uint32Array): void => {
  const key = [k0 | 0, k1 | 0, k0 ^ k1 ^ 0x1bd11bda] as const
  let a = (x0 + k0) | 0
  let b = (x1 + k1) | 0
  for (let r = 0; r < 20; r++) {
    const left = rotations[(r % 8) as 0]
    a = (a + b) | 0
    b = ((b << left) | (b >>> (32 - left))) ^ a
    if (r % 4 === 3) {
      const s = (r + 1) / 4
      a = (a + key[(s % 3) as 0]) | 0
      b = (b + key[((s + 1) % 3) as 0] + s) | 0
    }
  }
  out[0] = a
  out[1] = b
}

/** The first `n` words of the stream of key (k0, k1), as `randomBits` yields them. */
export const stream = (k0: number, k1: number, n: number): Uint32Array => {
  const words = new Uint32Array(n)
  const block = new Uint32Array(2)
  for (let i = 0; i < n; i++) {
    threefry2x32(k0, k1, i, 0, block)
    words[i] = block[0]!
  }
  return words
}
