// @ts-check
/** ONNX models of one node, written by hand: a protobuf message is a list of tagged fields, and few of them are needed. */

/** @param {number} n @returns {number[]} */
const varint = n => (n < 128 ? [n] : [(n % 128) | 128, ...varint(Math.floor(n / 128))])
/** A whole number. @param {number} tag @param {number} value */
const int = (tag, value) => Buffer.from([...varint(tag * 8), ...varint(value)])
/** A text, some bytes, or a message. @param {number} tag @param {string | Buffer | readonly Buffer[]} content */
const field = (tag, content) => {
  const bytes = typeof content === 'string' ? Buffer.from(content) : Buffer.isBuffer(content) ? content : Buffer.concat(content)
  return Buffer.concat([Buffer.from([...varint(tag * 8 + 2), ...varint(bytes.length)]), bytes])
}
const [FLOAT, INTS, VERSION] = [1, 7, 13]

/** TensorProto: dims 1, data_type 2, name 8, raw_data 9. @param {string} name @param {readonly number[]} shape @param {Float32Array} data */
const tensor = (name, shape, data) =>
  [...shape.map(d => int(1, d)), int(2, FLOAT), field(8, name), field(9, Buffer.from(data.buffer, data.byteOffset, data.byteLength))]
/** ValueInfoProto: name 1, type 2 { tensor_type 1 { elem_type 1, shape 2 { dim 1 { dim_value 1 } } } }.
 * @param {string} name @param {readonly number[]} shape */
const value = (name, shape) => [field(1, name), field(2, [field(1, [int(1, FLOAT), field(2, shape.map(d => field(1, int(1, d))))])])]
/** AttributeProto: name 1, ints 8, type 20. @param {string} name @param {readonly number[]} ints */
const attribute = (name, ints) => [field(1, name), ...ints.map(i => int(8, i)), int(20, INTS)]

/**
 * `y = op(x, w)` with w a constant. ModelProto: ir_version 1, graph 7, opset_import 8; GraphProto: node 1, name 2,
 * initializer 5, input 11, output 12; NodeProto: input 1, output 2, op_type 4, attribute 5.
 * @param {string} op @param {Readonly<Record<string, readonly number[]>>} attributes
 * @param {readonly number[]} x @param {readonly number[]} w @param {Float32Array} weights @param {readonly number[]} y
 */
export const onnx = (op, attributes, x, w, weights, y) => {
  const node = [field(1, 'x'), field(1, 'w'), field(2, 'y'), field(4, op), ...Object.entries(attributes).map(([name, ints]) => field(5, attribute(name, ints)))]
  const graph = [field(1, node), field(2, 'g'), field(5, tensor('w', w, weights)), field(11, value('x', x)), field(12, value('y', y))]
  return Buffer.concat([int(1, 8), field(7, graph), field(8, [field(1, ''), int(2, VERSION)])])
}
