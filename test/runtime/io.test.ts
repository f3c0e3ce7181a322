/** Array files: round trips, files as NumPy writes them, every corruption, and writes that damage nothing. */
import * as E from 'fp-ts/lib/Either.js'
import fc from 'fast-check'
import { zipSync } from 'fflate'
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { DType } from '../../dsl/core/prim.ts'
import { print, type Failure } from '../../dsl/errors.ts'
import { fitArrays } from '../../runtime/arrays.ts'
import { bfloat, elementOf, half, type FileArray } from '../../runtime/io/element.ts'
import { checkWritable, readBytes, writeAtomic, writeFailure } from '../../runtime/io/files.ts'
import { parseNpy, printNpy, type Outgoing } from '../../runtime/io/npy.ts'
import { parseNpz, printNpz } from '../../runtime/io/npz.ts'
import { parseSafetensors, printSafetensors } from '../../runtime/io/safetensors.ts'
import { temporary, toyProgram } from './toy.ts'

const right = <A>(result: E.Either<Failure | string, A>): A => {
  if (E.isLeft(result)) throw new Error(typeof result.left === 'string' ? result.left : print(result.left))
  return result.right
}
const left = <A>(result: E.Either<Failure, A>): string => (E.isLeft(result) ? print(result.left) : 'accepted')

const values: { readonly [D in DType]: fc.Arbitrary<number> } = {
  f32: fc.float(), i32: fc.integer(), u32: fc.nat(4294967295), bool: fc.nat(1),
}
const outgoing: fc.Arbitrary<Outgoing> = fc
  .tuple(fc.constantFrom<DType>('f32', 'i32', 'u32', 'bool'), fc.array(fc.nat(4), { maxLength: 4 }))
  .chain(([dtype, shape]) => {
    const size = shape.reduce((n, d) => n * d, 1)
    return fc.array(values[dtype], { minLength: size, maxLength: size }).map(data => ({ dtype, shape, data }))
  })
const archive = fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9_.[\]]{0,12}$/), outgoing, { maxKeys: 5 }).map(arrays => new Map(Object.entries(arrays)))

const same = (read: FileArray | undefined, written: Outgoing): void => {
  assert.is(read?.element, elementOf[written.dtype])
  assert.equal(read?.shape, written.shape)
  assert.ok([...(read?.data ?? [])].every((x, i) => Object.is(x, written.data[i])), 'bit for bit')
}
const bytesOf = (chunks: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(chunks))

test('npy and npz: what is written is read', () => {
  fc.assert(fc.property(outgoing, array => same(right(parseNpy(printNpy(array))), array)))
  fc.assert(fc.property(archive, arrays => {
    const read = right(parseNpz(printNpz(arrays), 'a.npz'))
    assert.equal([...read.keys()].sort(), [...arrays.keys()].sort())
    arrays.forEach((array, name) => same(read.get(name), array))
  }), { numRuns: 50 })
})

test('safetensors: what is written is read, metadata too', () => {
  fc.assert(fc.property(archive, fc.dictionary(fc.stringMatching(/^[a-z]+$/), fc.string()), (arrays, metadata) => {
    const read = right(parseSafetensors(bytesOf(printSafetensors(arrays, metadata)), 'a.safetensors'))
    assert.equal(Object.entries(read.metadata), Object.entries(metadata))
    assert.equal([...read.arrays.keys()].sort(), [...arrays.keys()].sort())
    arrays.forEach((array, name) => same(read.arrays.get(name), array))
  }))
})

test('equal arrays give equal bytes', () => {
  const arrays = new Map([['x', { shape: [2], dtype: 'f32' as const, data: [1, 2] }]])
  assert.equal(printNpz(arrays), printNpz(arrays))
})

// numpy.savez_compressed(f=numpy.asfortranarray(numpy.arange(6, dtype='>i2').reshape(2, 3)), h=numpy.array([1.5, -2, 65504], 'f2'), k=numpy.array([1,
// 4294967295]))
const fromNumpy = 'UEsDBC0AAAAIAAAAIQDhHvqo//////////8FABQAZi5ucHkBABAAjAAAAAAAAABRAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6XaaSuo6Cell9UUpSYF59flJIKEg8pKk0FChdnJBakArkaRjoKxpo6CrUK5AMuBgYGZgZGBhYGJgZWAFBLAwQtAAAACAAAACEA6Bhtwf//////////BQAUAGgubnB5AQAQAIYAAAAAAAAASgAAAAAAAACb7BfqGxDJyFDGUK2eklqcXKRupaBuk2akrqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+RrGOpo6CrUKFAAuBjuGA/+rAVBLAwQtAAAACAAAACEA59vkMf//////////BQAUAGsubnB5AQAQAJAAAAAAAAAATAAAAAAAAACb7BfqGxDJyFDGUK2eklqcXKRupaBuk2mhrqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+RpGOpo6CrUKFAAuRgYI+A8EIBoAUEsBAi0DLQAAAAgAAAAhAOEe+qhRAAAAjAAAAAUAAAAAAAAAAAAAAIABAAAAAGYubnB5UEsBAi0DLQAAAAgAAAAhAOgYbcFKAAAAhgAAAAUAAAAAAAAAAAAAAIABiAAAAGgubnB5UEsBAi0DLQAAAAgAAAAhAOfb5DFMAAAAkAAAAAUAAAAAAAAAAAAAAIABCQEAAGsubnB5UEsFBgAAAAADAAMAmQAAAIwBAAAAAA=='

test('an archive by NumPy itself: deflated, zip64 sizes, big-endian, Fortran order, half and 64-bit', () => {
  const read = right(parseNpz(new Uint8Array(Buffer.from(fromNumpy, 'base64')), 'n.npz'))
  const shown = [...read].map(([name, { element, shape, data }]) => [name, element, shape, [...data]])
  assert.equal(shown, [['f', 'int16', [2, 3], [0, 1, 2, 3, 4, 5]], ['h', 'float16', [3], [1.5, -2, 65504]], ['k', 'int64', [2], [1, 4294967295]]])
})

test('a damaged archive is never half read: every cut and every flipped byte of data is noticed', () => {
  const whole = new Uint8Array(Buffer.from(fromNumpy, 'base64'))
  for (let length = 0; length < whole.length; length++) assert.ok(E.isLeft(parseNpz(whole.slice(0, length), 'n.npz')), `cut at ${length}`)
  const expected = right(parseNpz(whole, 'n.npz'))
  for (let at = 0; at < whole.length; at++) {
    const changed = whole.slice()
    changed[at] = (changed[at] ?? 0) ^ 0x55
    const read = parseNpz(changed, 'n.npz')
    // Bytes that mean nothing to a reader (dates, versions) may differ; the arrays may not.
    if (E.isRight(read)) for (const [name, array] of expected) if (read.right.has(name)) assert.equal(read.right.get(name), array, `byte ${at}`)
  }
})

const header = (text: string, version = 1): Uint8Array =>
  Uint8Array.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0, text.length, 0, ...(version === 1 ? [] : [0, 0]), ...new TextEncoder().encode(text)])
const npy = (descr: string, shape: string, data: readonly number[] = [], version = 1): Uint8Array =>
  Uint8Array.from([...header(`{'descr': ${descr}, 'fortran_order': False, 'shape': ${shape}, }`, version), ...data])

test('npy: every element type, and version 2', () => {
  const read = (code: string, data: readonly number[], version = 1): readonly number[] => [...right(parseNpy(npy(`'${code}'`, '(1,)', data, version))).data]
  assert.equal(read('|i1', [255]), [-1])
  assert.equal(read('|u1', [255], 2), [255])
  assert.equal(read('<i2', [254, 255]), [-2])
  assert.equal(read('<u2', [254, 255]), [65534])
  assert.equal(read('>u4', [0, 0, 1, 0]), [256])
  assert.equal(read('<i8', [255, 255, 255, 255, 255, 255, 255, 255]), [-1])
  assert.equal(read('<f8', [0, 0, 0, 0, 0, 0, 4, 64]), [2.5])
  assert.equal(read('>f4', [0x40, 0x20, 0, 0]), [2.5])
  assert.equal(read('|b1', [2]), [1])
})

const badNpy: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ['no magic', new TextEncoder().encode('hello, world'), /not an \.npy array/],
  ['an unknown version', npy("'<f4'", '(0,)', [], 9), /version 9 is unknown/],
  ['a cut header', npy("'<f4'", '(0,)').slice(0, 20), /truncated within its header/],
  ['an unreadable header', header('{}'), /header cannot be read/],
  ['Python objects', npy("'|O'", '(1,)', [0]), /Python objects \(a pickle\).*numpy\.asarray/],
  ['text', npy("'<U3'", '(1,)', [0]), /elements of type "<U3".*astype/],
  ['complex numbers', npy("'<c8'", '()', [0]), /elements of type "<c8"/],
  ['a type that objects inherit', npy("'<constructor'", '(1,)', [0]), /elements of type "<constructor"/],
  ['a record type', npy("[('a', '<f4')]", '(1,)', [0]), /structured array/],
  ['too little data', npy("'<f4'", '(2,)', [0, 0, 0, 0]), /truncated: shape \(2\) of float32 needs 8 bytes of data, 4 are there/],
  ['too much data', npy("'<f4'", '()', [0, 0, 0, 0, 0]), /too long/],
  ['integers beyond exactness', npy("'<u8'", '()', [255, 255, 255, 255, 255, 255, 255, 255]), /beyond 2\^53/],
]
for (const [name, bytes, expected] of badNpy) {
  test(`npy refused: ${name}`, () => assert.match(left(parseNpz(zipSync({ 'x.npy': bytes }), 'a.npz')), expected))
}

test('npz refused: what is no archive of arrays', () => {
  assert.match(left(parseNpz(new Uint8Array(0), 'a.npz')), /a\.npz: the file is empty/)
  assert.match(left(parseNpz(new TextEncoder().encode('x,y\n1,2\n'), 'a.npz')), /not an \.npz file.*\n.*numpy\.savez/)
  assert.match(left(parseNpz(zipSync({ 'x.txt': Uint8Array.of(1) }), 'a.npz')), /entry "x\.txt" is not an \.npy array/)
})

const st = (head: string, data = 0, announced = head.length): Uint8Array => {
  const bytes = new Uint8Array(8 + head.length + data)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(announced), true)
  bytes.set(new TextEncoder().encode(head), 8)
  return bytes
}
const entry = (name: string, dtype: string, shape: readonly number[], range: readonly [number, number]): string =>
  `"${name}":${JSON.stringify({ dtype, shape, data_offsets: range })}`

const badTensors: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ['an empty file', new Uint8Array(0), /the file is empty/],
  ['seven bytes', new Uint8Array(7), /truncated: it has not even/],
  ['an oversized header', st('{}', 0, 200_000_000), /announces a header of 200000000 bytes/],
  ['a header beyond the file', st('{}', 0, 50), /truncated: a header of 50 bytes is announced, 2 are there/],
  ['a zip archive', zipSync({ 'x.npy': new Uint8Array(9) }), /not a safetensors file/],
  ['no JSON', st('{"a"'), /header is not valid JSON/],
  ['no entry', st('{"a":3}'), /header is malformed: a/],
  ['a negative range', st(`{${entry('a', 'F32', [0], [-4, -4])}}`), /malformed: a\.data_offsets.*whole number >= 0, found -4/],
  ['an unknown dtype', st(`{${entry('a', 'F8_E4M3', [1], [0, 1])}}`, 1), /tensor a has dtype F8_E4M3/],
  ['a range that does not fit the shape', st(`{${entry('a', 'F32', [2], [0, 4])}}`, 4), /F32\[2\] takes 8 bytes, its range \[0, 4\) has 4/],
  ['overlapping ranges', st(`{${entry('a', 'F32', [2], [0, 8])},${entry('b', 'F32', [2], [4, 12])}}`, 12), /ranges of tensors a and b overlap/],
  ['a hole', st(`{${entry('a', 'F32', [1], [0, 4])},${entry('b', 'F32', [1], [8, 12])}}`, 12), /4 bytes between a and tensor b belong to no tensor/],
  ['truncated data', st(`{${entry('a', 'F32', [2], [0, 8])}}`, 5), /truncated: tensor a ends at byte 8 of the data, 5 are there/],
  ['data at the end', st(`{${entry('a', 'F32', [1], [0, 4])}}`, 5), /1 bytes at its end belong to no tensor/],
  ['metadata of numbers', st('{"__metadata__":{"step":3}}'), /__metadata__ must map strings to strings/],
  ['a tensor that is there twice', st(`{${entry('a', 'F32', [1], [0, 4])},${entry('a', 'F32', [1], [0, 4])}}`, 4), /its header names "a" twice/],
  ['a tensor that is there twice, once escaped', st('{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"\\u0061":{}}'), /its header names "a" twice/],
  ['metadata twice', st('{"__metadata__":{},"__metadata__":{"a":"b"}}'), /its header names "__metadata__" twice/],
  ['a field twice', st('{"a":{"dtype":"F32","dtype":"F32","shape":[0],"data_offsets":[0,0]}}'), /its header names "dtype" twice/],
  ['a dtype that objects inherit', st(`{${entry('a', 'constructor', [0], [0, 0])}}`), /tensor a has dtype constructor/],
  ['no UTF-8', Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff), /not UTF-8/],
]
for (const [name, bytes, expected] of badTensors) {
  test(`safetensors refused: ${name}`, () => assert.match(left(parseSafetensors(bytes, 'p.safetensors')), expected))
}

test('safetensors: half, brain and double precision, misaligned data', () => {
  const head = `{${entry('b', 'BOOL', [1], [0, 1])},${entry('h', 'F16', [1], [1, 3])},${entry('r', 'BF16', [1], [3, 5])},${entry('d', 'F64', [1], [5, 13])}}`
  const bytes = st(head, 13)
  bytes.set([1, 0, 0x3e, 0x20, 0x40, 0, 0, 0, 0, 0, 0, 4, 64], 8 + head.length)
  assert.equal([...right(parseSafetensors(bytes, 'p')).arrays].map(([name, { data }]) => [name, data[0]]), [['b', 1], ['h', 1.5], ['r', 2.5], ['d', 2.5]])
})

test('half and brain floats at their edges', () => {
  assert.equal([0x0001, 0x03ff, 0x0400, 0x7bff, 0x7c00, 0xfc00, 0x8000].map(half), [2 ** -24, 1023 * 2 ** -24, 2 ** -14, 65504, Infinity, -Infinity, -0])
  assert.ok(Number.isNaN(half(0x7e00)))
  assert.equal([0x3f80, 0xc000, 0x7f80].map(bfloat), [1, -2, Infinity])
})

test('arrays are fitted to a program, and all problems come at once', () => {
  const array = (element: FileArray['element'], shape: readonly number[], ...data: readonly number[]): FileArray =>
    ({ element, shape, data: Float64Array.from(data) })
  const good = new Map([['state.w', array('float64', [2], 1, 2)], ['x', array('float16', [2], 1, 2)], ['key', array('int64', [2], 0, 4294967295)],
    ['flags', array('bool', [2], 0, 1)]])
  assert.ok(E.isRight(fitArrays(toyProgram, good)))
  const bad = new Map([['state.W', array('float32', [2], 1, 2)], ['x', array('float32', [3], 1, 2, 3)], ['key', array('int64', [2], 0, -1)],
    ['flags', array('uint8', [2], 0, 1)]])
  assert.is(left(fitArrays(toyProgram, bad)), [
    'program toy/step: the arrays given do not fit its inputs',
    '  x: expected float32[2], got float32[3]',
    '  key: expected uint32[2], got int64[2]: its element 1 is -1, beyond uint32',
    '  flags: expected bool[2], got uint8[2]: convert it, e.g. .astype(numpy.bool_)',
    '  state.W: no such input (got float32[2]); is state.w meant?',
    '  state.w: missing, expected float32[2]',
    '  It takes: state.w f32[2], x f32[2], key u32[2], flags bool[2]',
  ].join('\n'))
})

test('files are replaced whole, keep their mode, and are reached through links', async () => {
  const folder = temporary()
  const [file, link] = [join(folder, 'a.bin'), join(folder, 'link.bin')]
  right(await writeAtomic(file, 'one')())
  chmodSync(file, 0o640)
  symlinkSync(file, link)
  right(await writeAtomic(link, [Uint8Array.of(116, 119), Uint8Array.of(111)])())
  assert.is(readFileSync(file, 'utf8'), 'two')
  assert.equal(readdirSync(folder).sort(), ['a.bin', 'link.bin'])
})

test('a write that fails changes nothing and leaves nothing', async () => {
  const folder = temporary()
  const inside = join(folder, 'folder')
  mkdirSync(inside)
  writeFileSync(join(folder, 'file'), 'kept')
  assert.match(left(await writeAtomic(inside, 'x')()), /cannot write .*: it is a folder/)
  assert.match(left(await writeAtomic(join(folder, 'file', 'y'), 'x')()), /a part of its path is a file/)
  assert.match(left(await writeAtomic(join(folder, 'none', 'y'), 'x')()), /folder .*none does not exist\n.*mkdir -p/)
  if (existsSync('/dev/full')) assert.match(left(await writeAtomic('/dev/full', 'x')()), /the disk is full/)
  assert.equal(readdirSync(folder).sort(), ['file', 'folder'])
  assert.is(readFileSync(join(folder, 'file'), 'utf8'), 'kept')
  assert.match(left(await checkWritable(inside)()), /it is a folder/)
  assert.match(left(await checkWritable(join(folder, 'none', 'y'))()), /does not exist/)
  assert.ok(E.isRight(await checkWritable(join(folder, 'new'))()))
  assert.ok(!existsSync(join(folder, 'new')))
})

test('the operating system\'s codes have words of their own', () => {
  const say = (code: string): string => print(writeFailure('/x/y', Object.assign(new Error(code), { code })))
  assert.equal(['ENOSPC', 'EDQUOT', 'EACCES', 'EROFS', 'EISDIR', 'ENOTDIR', 'EIO'].map(code => say(code).split('\n')[0]?.replace('cannot write /x/y: ', '')), [
    'the disk is full', 'your disk quota is used up', 'no permission to write in /x', 'the file system is read-only', 'it is a folder',
      'a part of its path is a file, not a folder', 'EIO',
  ])
})

test('files that cannot be read', async () => {
  const folder = temporary()
  assert.match(left(await readBytes(folder)()), /it is a folder, not a file/)
  assert.match(left(await readBytes(join(folder, 'x'), 'Make it.')()), /no such file\n {2}Make it\./)
})

test.run()
