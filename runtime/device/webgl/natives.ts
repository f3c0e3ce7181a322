/**
 * What kernels of gpu.js call beside its own language, as GLSL and, for gpu.js's mode in JavaScript, as JavaScript: arithmetic
 * of whole 32-bit words, whose sums, products and quotients gpu.js's numbers do not have, and f32 functions that GLSL
 * promises too little of. An `int` holds the bits of an i32 or of a u32; `uint_` functions take them for a u32.
 */
type NativeType = 'int' | 'float' | 'bool'

export type Native = {
  readonly returns: NativeType
  readonly parameters: readonly (readonly [type: NativeType, name: string])[]
  readonly glsl: string
  readonly js: string
}

const int = (glsl: string, js: string): Native => ({ returns: 'int', parameters: [['int', 'a'], ['int', 'b']], glsl, js })
const test = (glsl: string, js: string): Native => ({ ...int(glsl, js), returns: 'bool' })

export const natives = {
  /** Quotient toward zero, and its remainder, which GLSL has for positive numbers only. */
  int_div: int('a / b', 'Math.trunc(a / b)'),
  int_rem: int('a - b * (a / b)', '(a % b) | 0'),
  uint_div: int('int(uint(a) / uint(b))', '((a >>> 0) / (b >>> 0)) | 0'),
  uint_rem: int('int(uint(a) % uint(b))', '((a >>> 0) % (b >>> 0)) | 0'),
  /** Sums, differences and products modulo 2^32. */
  word_add: int('a + b', '(a + b) | 0'),
  word_sub: int('a - b', '(a - b) | 0'),
  word_mul: int('a * b', 'Math.imul(a, b)'),
  word_and: int('a & b', 'a & b'),
  word_or: int('a | b', 'a | b'),
  word_xor: int('a ^ b', 'a ^ b'),
  /** Shifts by 0 .. 31. */
  shift_left: int('a << b', 'a << b'),
  int_shift_right: int('a >> b', 'a >> b'),
  uint_shift_right: int('int(uint(a) >> uint(b))', '(a >>> b) | 0'),
  /** Turned to the left by 1 .. 31. */
  word_rotate: int('int((uint(a) << uint(b)) | (uint(a) >> uint(32 - b)))', '(a << b) | (a >>> (32 - b))'),
  int_equal: test('a == b', 'a === b'),
  uint_less: test('uint(a) < uint(b)', '(a >>> 0) < (b >>> 0)'),
  uint_at_most: test('uint(a) <= uint(b)', '(a >>> 0) <= (b >>> 0)'),
  /** One of two numbers, both of which are computed. */
  choose: { returns: 'float', parameters: [['bool', 'c'], ['float', 'a'], ['float', 'b']], glsl: 'c ? a : b', js: 'c ? a : b' },
  choose_int: { returns: 'int', parameters: [['bool', 'c'], ['int', 'a'], ['int', 'b']], glsl: 'c ? a : b', js: 'c ? a : b' },
  /** A number as an i32 or a u32: toward zero, to the nearest there is beyond their range, 0 for NaN. */
  int_of: {
    returns: 'int', parameters: [['float', 'x']],
    glsl: 'x >= 2147483648.0 ? 2147483647 : x <= -2147483648.0 ? int(0x80000000u) : (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u ? 0 : int(x)',
    js: 'x >= 2147483648 ? 2147483647 : x <= -2147483648 ? -2147483648 : x | 0',
  },
  uint_of: {
    returns: 'int', parameters: [['float', 'x']],
    glsl: 'x >= 4294967296.0 ? -1 : x > 0.0 ? int(uint(x)) : 0',
    js: 'x >= 4294967296 ? -1 : x > 0 ? Math.trunc(x) | 0 : 0',
  },
  /** An i32 or a u32 as a number. */
  float_of_int: { returns: 'float', parameters: [['int', 'a']], glsl: 'float(a)', js: 'Math.fround(a)' },
  float_of_uint: { returns: 'float', parameters: [['int', 'a']], glsl: 'float(uint(a))', js: 'Math.fround(a >>> 0)' },
  /** The bits of an f32, and back. */
  bits_of: { returns: 'int', parameters: [['float', 'x']], glsl: 'floatBitsToInt(x)', js: 'bitsOfFloat(x)' },
  float_of_bits: { returns: 'float', parameters: [['int', 'a']], glsl: 'intBitsToFloat(a)', js: 'floatOfBits(a)' },
  /** The lower and the upper half of a word as numbers. */
  low: { returns: 'float', parameters: [['int', 'a']], glsl: 'float(a & 65535)', js: 'a & 65535' },
  high: { returns: 'float', parameters: [['int', 'a']], glsl: 'float(int(uint(a) >> 16u))', js: 'a >>> 16' },
  /** The half of a word that belongs in a texel: of two neighbours the first has the lower one. */
  half_word: {
    returns: 'float', parameters: [['int', 'a'], ['int', 'texel']],
    glsl: 'float((uint(a) >> uint(16 * (texel & 1))) & 65535u)', js: 'texel % 2 === 0 ? a & 65535 : a >>> 16',
  },
  /** The word of two halves. */
  word: { returns: 'int', parameters: [['float', 'x'], ['float', 'y']], glsl: 'int(uint(x) | (uint(y) << 16u))', js: 'x | (y << 16)' },
  /** To the nearest whole number, halves to the even one. */
  nearest: {
    returns: 'float', parameters: [['float', 'x']], glsl: 'roundEven(x)',
    js: 'Math.abs(x) >= 4503599627370496 ? x : Math.sign(x) * (Math.abs(x) + 4503599627370496 - 4503599627370496)',
  },
  /** The lesser and the greater; NaN where one of them is. */
  least: {
    returns: 'float', parameters: [['float', 'x'], ['float', 'y']],
    glsl: 'max(floatBitsToUint(x) & 0x7fffffffu, floatBitsToUint(y) & 0x7fffffffu) > 0x7f800000u ? x + y : min(x, y)', js: 'Math.min(x, y)',
  },
  greatest: {
    returns: 'float', parameters: [['float', 'x'], ['float', 'y']],
    glsl: 'max(floatBitsToUint(x) & 0x7fffffffu, floatBitsToUint(y) & 0x7fffffffu) > 0x7f800000u ? x + y : max(x, y)', js: 'Math.max(x, y)',
  },
} as const satisfies Readonly<Record<string, Native>>

export type NativeName = keyof typeof natives
