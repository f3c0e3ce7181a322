/**
 * The binary format of WebAssembly, as far as we print it: LEB128 numbers, sections, opcodes (core 1.0, bulk memory,
 * SIMD, relaxed SIMD, atomics), after the core specification 2.0 and the threads and relaxed-simd proposals.
 */
export type Bytes = readonly number[]

export const unsigned = (n: number): number[] => {
  const out: number[] = []
  let rest = n
  do {
    const low = rest % 128
    rest = Math.floor(rest / 128)
    out.push(rest === 0 ? low : low | 128)
  } while (rest !== 0)
  return out
}

/** Of a 32-bit integer. */
export const signed = (n: number): number[] => {
  const out: number[] = []
  let rest = n | 0
  for (;;) {
    const low = rest & 127
    rest >>= 7
    if ((rest === 0 && (low & 64) === 0) || (rest === -1 && (low & 64) !== 0)) return [...out, low]
    out.push(low | 128)
  }
}

const view = new DataView(new ArrayBuffer(4))
export const float = (x: number): number[] => {
  view.setFloat32(0, x, true)
  return [0, 1, 2, 3].map(i => view.getUint8(i))
}
export const word = (x: number): number[] => {
  view.setInt32(0, x, true)
  return [0, 1, 2, 3].map(i => view.getUint8(i))
}

export const text = (s: string): number[] => {
  const bytes = [...new TextEncoder().encode(s)]
  return [...unsigned(bytes.length), ...bytes]
}
export const header: Bytes = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]

export const types = { i32: 0x7f, f32: 0x7d, v128: 0x7b } as const
export type WasmType = keyof typeof types

/** A SIMD opcode with its prefix. */
export const simd = (code: number): number[] => [0xfd, ...unsigned(code)]

export const code = {
  unreachable: 0x00, block: 0x02, loop: 0x03, if: 0x04, else: 0x05, end: 0x0b, br: 0x0c, brIf: 0x0d, call: 0x10, drop: 0x1a, select: 0x1b, empty: 0x40,
  localGet: 0x20, localSet: 0x21, localTee: 0x22, i32Load: 0x28, f32Load: 0x2a, i32Store: 0x36, f32Store: 0x38, i32Const: 0x41, f32Const: 0x43,
} as const

/** An atomic operation with its prefix. */
export const atomic = (operation: number): number[] => [0xfe, ...unsigned(operation)]
/** Atomic operations on words of 32 bits. */
export const atomicCode = { notify: 0x00, wait32: 0x01, load: 0x10, store: 0x17, add: 0x1e, sub: 0x25 } as const
/** As a time limit: none. */
export const i64Minus1: Bytes = [0x42, 0x7f]

/** memory.copy within memory 0: (to, from, bytes). */
export const memoryCopy: Bytes = [0xfc, 0x0a, 0x00, 0x00]

/** One-byte opcodes by type and name. */
export const scalarCode = {
  i32: {
    eqz: 0x45, eq: 0x46, ne: 0x47, ltS: 0x48, ltU: 0x49, gtS: 0x4a, gtU: 0x4b, leS: 0x4c, leU: 0x4d, geS: 0x4e, geU: 0x4f,
    add: 0x6a, sub: 0x6b, mul: 0x6c, divS: 0x6d, divU: 0x6e, remS: 0x6f, remU: 0x70, and: 0x71, or: 0x72, xor: 0x73, shl: 0x74, shrS: 0x75, shrU: 0x76,
  },
  f32: {
    eq: 0x5b, ne: 0x5c, lt: 0x5d, gt: 0x5e, le: 0x5f, ge: 0x60, abs: 0x8b, neg: 0x8c, floor: 0x8e, nearest: 0x90, sqrt: 0x91,
    add: 0x92, sub: 0x93, mul: 0x94, div: 0x95, min: 0x96, max: 0x97,
  },
  convertS: 0xb2, convertU: 0xb3, bitsToI32: 0xbc, bitsToF32: 0xbe, truncS: [0xfc, 0x00], truncU: [0xfc, 0x01],
} as const

/** SIMD opcodes (after the prefix 0xfd) by shape and name. */
export const vectorCode = {
  load: 0x00, loadSplat: 0x09, store: 0x0b, const: 0x0c, shuffle: 0x0d,
  not: 0x4d, and: 0x4e, or: 0x50, xor: 0x51, bitselect: 0x52,
  i32: {
    splat: 0x11, extract: 0x1b, replace: 0x1c, eq: 0x37, ne: 0x38, ltS: 0x39, ltU: 0x3a, gtS: 0x3b, gtU: 0x3c, leS: 0x3d, leU: 0x3e, geS: 0x3f, geU: 0x40,
    abs: 0xa0, neg: 0xa1, shl: 0xab, shrS: 0xac, shrU: 0xad, add: 0xae, sub: 0xb1, mul: 0xb5, minS: 0xb6, minU: 0xb7, maxS: 0xb8, maxU: 0xb9,
    truncS: 0xf8, truncU: 0xf9,
  },
  f32: {
    splat: 0x13, extract: 0x1f, replace: 0x20, eq: 0x41, ne: 0x42, lt: 0x43, gt: 0x44, le: 0x45, ge: 0x46,
    floor: 0x68, nearest: 0x6a, abs: 0xe0, neg: 0xe1, sqrt: 0xe3,
    add: 0xe4, sub: 0xe5, mul: 0xe6, div: 0xe7, min: 0xe8, max: 0xe9, pmin: 0xea, pmax: 0xeb, convertS: 0xfa, convertU: 0xfb,
  },
  relaxedMadd: 0x105, relaxedSelect: 0x10b,
} as const
