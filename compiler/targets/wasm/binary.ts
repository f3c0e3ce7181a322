/** The bytes of a module: its functions, what it exports, and its data, over one imported memory. */
import { type Bytes, float, header, signed, text, types, unsigned, word, code } from './encode.ts'

/** A function of so many i32 parameters without a result. */
export type Body = { readonly name: string; readonly params: number; readonly body: Bytes }
/** Bytes that are put into memory when the module is instantiated. */
export type Data = { readonly at: number; readonly bytes: Bytes }
export type Binary = {
  readonly functions: readonly Body[]
  readonly exports: readonly { readonly name: string; readonly fn: number }[]
  readonly data: readonly Data[]
  readonly memoryBytes: number
}

export const words = (data: readonly number[], dtype: 'f32' | 'i32' | 'u32' | 'bool'): Bytes => data.flatMap(x => (dtype === 'f32' ? float(x) : word(x | 0)))

/** Pieces one after the other, and how long they are: large bodies are copied once. */
type Pieces = { readonly pieces: readonly Bytes[]; readonly length: number }
const joined = (pieces: readonly Bytes[]): Pieces => ({ pieces, length: pieces.reduce((n, p) => n + p.length, 0) })
const list = (items: readonly Bytes[]): Pieces => joined([unsigned(items.length), ...items])
const sized = (items: readonly Bytes[]): Pieces => joined([unsigned(items.length), ...items.flatMap(item => [unsigned(item.length), item])])
const section = (id: number, { pieces, length }: Pieces): readonly Bytes[] => [[id, ...unsigned(length)], ...pieces]

const pageBytes = 65536

/**
 * The memory import asks for plain memory of any size that holds the module's; its flags are one byte that a loader may
 * change to ask for shared memory.
 */
export const binary = ({ functions, exports, data, memoryBytes }: Binary): Uint8Array<ArrayBuffer> => {
  const arities = [...new Set(functions.map(f => f.params))].sort((x, y) => x - y)
  const pages = Math.max(1, Math.ceil(memoryBytes / pageBytes))
  const signature = (params: number): Bytes => [0x60, ...unsigned(params), ...Array.from({ length: params }, () => types.i32), 0]
  const segment = ({ at, bytes }: Data): readonly Bytes[] => [[0, code.i32Const, ...signed(at), code.end, ...unsigned(bytes.length)], bytes]
  const names = joined([unsigned(functions.length), ...functions.map(({ name }, i) => [...unsigned(i), ...text(name)])])
  const pieces = [
    header,
    ...section(1, list(arities.map(signature))),
    ...section(2, list([[...text('env'), ...text('memory'), 0x02, 0x01, ...unsigned(pages), ...unsigned(65536)]])),
    ...section(3, list(functions.map(f => unsigned(arities.indexOf(f.params))))),
    ...section(7, list(exports.map(({ name, fn }) => [...text(name), 0x00, ...unsigned(fn)]))),
    ...section(10, sized(functions.map(f => f.body))),
    ...section(11, joined([unsigned(data.length), ...data.flatMap(segment)])),
    // names for profilers and stack traces
    ...section(0, joined([text('name'), ...section(1, names)])),
  ]
  const out = new Uint8Array(pieces.reduce((n, p) => n + p.length, 0))
  pieces.reduce((at, piece) => {
    out.set(piece, at)
    return at + piece.length
  }, 0)
  return out
}
