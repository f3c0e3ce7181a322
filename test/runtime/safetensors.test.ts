/**
 * Written safetensors files against the format's published rules, by a reader that shares nothing with the runtime's: it
 * walks the bytes as the format's description says, so that other libraries (PyTorch's among them) can read them too.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Outgoing } from '../../runtime/io/npy.ts'
import { parseSafetensors, printSafetensors } from '../../runtime/io/safetensors.ts'

type Described = { readonly dtype: string; readonly shape: readonly number[]; readonly data_offsets: readonly [number, number] }
const width: Readonly<Record<string, number>> = { F32: 4, I32: 4, U32: 4, BOOL: 1 }

/** Checks every rule; gives the header and each tensor's numbers. */
const readIndependently = (file: Buffer): { readonly metadata: unknown; readonly tensors: Readonly<Record<string, Described & { readonly values: readonly number[] }>> } => {
  const length = file.readUInt32LE(0)
  assert.is(file.readUInt32LE(4), 0, 'the upper half of the 64-bit length')
  assert.is((8 + length) % 8, 0, 'the data begins at a multiple of eight bytes')
  const text = file.toString('utf8', 8, 8 + length)
  assert.is(text[0], '{')
  assert.match(text, /\} *$/, 'padded with spaces, if at all')
  const { __metadata__: metadata, ...entries } = JSON.parse(text) as Record<string, Described>
  const data = file.subarray(8 + length)
  let at = 0
  const tensors = Object.fromEntries(Object.entries(entries).map(([name, entry]) => {
    assert.equal(Object.keys(entry).sort(), ['data_offsets', 'dtype', 'shape'])
    const { dtype, shape, data_offsets: [begin, end] } = entry
    const size = width[dtype] ?? assert.unreachable(`dtype ${dtype}`) as never
    assert.is(begin, at, 'no hole, no overlap, in the order of the header')
    assert.is(begin % size, 0, 'each tensor lies at a multiple of its element')
    assert.is(end - begin, size * shape.reduce((n, d) => n * d, 1))
    at = end
    const values = Array.from({ length: (end - begin) / size }, (_, i) => {
      const place = begin + i * size
      return dtype === 'F32' ? data.readFloatLE(place) : dtype === 'I32' ? data.readInt32LE(place) : dtype === 'U32' ? data.readUInt32LE(place) : data.readUInt8(place)
    })
    return [name, { ...entry, values }]
  }))
  assert.is(at, data.length, 'the data ends with the last tensor')
  return { metadata, tensors }
}

const code = { f32: 'F32', i32: 'I32', u32: 'U32', bool: 'BOOL' } as const
const number = { f32: fc.float(), i32: fc.integer(), u32: fc.nat(4294967295), bool: fc.nat(1) } as const
const tensor: fc.Arbitrary<Outgoing> = fc.tuple(fc.constantFrom('f32', 'i32', 'u32', 'bool'), fc.array(fc.nat(3), { maxLength: 4 })).chain(([dtype, shape]) => {
  const size = shape.reduce((n, d) => n * d, 1)
  return fc.array(number[dtype], { minLength: size, maxLength: size }).map(data => ({ dtype, shape, data }))
})
const names = fc.stringMatching(/^[a-z][a-z0-9_.[\]"\\]{0,10}$/)

test('every file keeps the rules and holds the numbers, whoever reads it', () => {
  fc.assert(fc.property(fc.dictionary(names, tensor, { maxKeys: 6 }), fc.dictionary(names, fc.string(), { maxKeys: 3 }), (tensors, about) => {
    const read = readIndependently(Buffer.concat(printSafetensors(new Map(Object.entries(tensors)), about)))
    if (Object.keys(about).length === 0) assert.is(read.metadata, undefined)
    else assert.equal(Object.entries(read.metadata as object), Object.entries(about))
    assert.equal(Object.keys(read.tensors).sort(), Object.keys(tensors).sort())
    for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
      const found = read.tensors[name]
      assert.equal([found?.dtype, found?.shape], [code[dtype], shape])
      assert.ok(found?.values.every((x, i) => Object.is(x, data[i])), `${name}, bit for bit`)
    }
  }))
})

test('a header as other writers make it: unsorted, spaces between and after, nested quotes, long metadata', () => {
  const long = 'x'.repeat(2 ** 22)
  const head = `{ "b\\"{" : {"shape":[ ],"data_offsets":[4,8],"dtype":"F32"}, "__metadata__":{"format":"pt","a:{\\"":"}\\",\\"format\\":","l":"${long}"} ,\n`
    + '"a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]} }    '
  const bytes = Buffer.concat([Buffer.alloc(8), Buffer.from(head), Buffer.from(Int32Array.of(-7).buffer), Buffer.from(Float32Array.of(2.5).buffer)])
  bytes.writeUInt32LE(Buffer.byteLength(head), 0)
  const read = parseSafetensors(bytes, 'p.safetensors')
  if (read._tag === 'Left') return assert.unreachable(JSON.stringify(read.left))
  assert.equal([...read.right.arrays].map(([name, { shape, data }]) => [name, shape, [...data]]), [['a', [1], [-7]], ['b"{', [], [2.5]]])
  assert.equal(Object.entries(read.right.metadata), [['format', 'pt'], ['a:{"', '}","format":'], ['l', long]])
})

test.run()
