/**
 * Prints a function as text, one instruction a line, the same text for the same function. Long literals are cut short:
 *
 *   %12 gate : f32[30] = sigmoid %11   // models/vdsm/transition.ts:12:16
 */
import type { Attrs, Dimension, Prim } from '../../dsl/core/prim.ts'
import type { Func, Id, Inst, Op, Origin, Program, Scan } from './ir.ts'
import { at, showAval } from './view.ts'

/** A number as text; -0 is not 0. */
const text = (x: number | string): string => (Object.is(x, -0) ? '-0' : `${x}`)
const list = (xs: readonly (number | string)[]): string => `[${xs.map(text).join(', ')}]`
const pairs = (record: Readonly<Record<string, string>>): string => Object.entries(record).map(([key, value]) => ` ${key}=${value}`).join('')
const axes = (attrs: { readonly axes: readonly number[] }): string => pairs({ axes: list(attrs.axes) })
const none = (): string => ''

const most = 8

/** The attributes of a primitive that its result's type does not already show. */
const printAttrs: { readonly [P in Prim]?: (attrs: Attrs[P]) => string } = {
  fill: ({ value }) => ` ${text(value)}`,
  literal: ({ data }) => ` ${list(data.length <= most ? data : [...data.slice(0, most), '...'])}`,
  iota: ({ axis }) => pairs({ axis: `${axis}` }),
  pow: ({ exponent }) => ` ^${exponent}`,
  cast: none,
  reshape: none,
  transpose: ({ perm }) => pairs({ perm: list(perm) }),
  broadcast: axes,
  concat: ({ axis }) => pairs({ axis: `${axis}` }),
  slice: ({ start, limit, step }) => ` [${start.map((s, i) => `${s}:${at(limit, i)}${at(step, i) === 1 ? '' : `:${at(step, i)}`}`).join(', ')}]`,
  pad: ({ low, high, interior, value }) =>
    ` [${low.map((l, i) => `${l}:${at(high, i)}${at(interior, i) === 0 ? '' : `:${at(interior, i)}`}`).join(', ')}]${value === 0 ? '' : ` value=${value}`}`,
  flip: axes,
  gather: ({ axis, batch }) => pairs({ axis: `${axis}`, ...(batch === 0 ? {} : { batch: `${batch}` }) }),
  sum: axes,
  max: axes,
  min: axes,
  contract: ({ sizes, a, b, out }) =>
    ` (${a.map(dimension).join(' ')}), (${b.map(dimension).join(' ')}) -> (${out.join(' ')})${pairs({
      sizes: `{${Object.entries(sizes).sort(([x], [y]) => (x < y ? -1 : 1)).map(([label, size]) => `${label}:${size}`).join(' ')}}`,
    })}`,
}

/** A label, or a window such as `(y*2+k-1)`; `/2` where the operand has a base. */
const dimension = (d: Dimension): string => {
  if (typeof d === 'string') return d
  const times = (label: string, by: number): string => (by === 1 ? label : `${label}*${by}`)
  const pad = d.pad === 0 ? '' : d.pad > 0 ? `-${d.pad}` : `+${-d.pad}`
  return `(${times(d.p, d.stride)}+${times(d.k, d.dilation)}${pad})${d.base === 1 ? '' : `/${d.base}`}`
}

const refs = (ids: readonly Id[]): string => ids.map(id => `%${id}`).join(', ')
const named = (origin: Origin): string => (origin.name === '' ? '' : ` ${origin.name}`)
const comment = (origin: Origin): string => (origin.file === '' ? '' : `   // ${origin.file}:${origin.line}:${origin.column}`)

const printOp = (op: Op): string => {
  const attrs = (printAttrs[op.prim] as ((attrs: Attrs[Prim]) => string) | undefined) ?? none // the table pairs prim and attrs; the union cannot see it
  const operands = op.inputs.length === 0 ? '' : ` ${refs(op.inputs)}`
  return `%${op.id}${named(op.origin)} : ${showAval(op.aval)} = ${op.prim}${operands}${attrs(op.attrs)}${comment(op.origin)}`
}

const printScan = (scan: Scan): readonly string[] => [
  `${scan.ids.map((id, i) => `%${id} : ${showAval(at(scan.avals, i))}`).join(', ')} =` +
    ` scan${named(scan.origin)} ${scan.length}${scan.reverse ? ' reverse' : ''}` +
    ` consts (${refs(scan.consts)}) init (${refs(scan.init)}) xs (${refs(scan.xs)})${comment(scan.origin)}`,
  ...lines(scan.body).map(line => `  ${line}`),
]

const printInst = (inst: Inst): readonly string[] => (inst.kind === 'op' ? [printOp(inst)] : printScan(inst))

const lines = (func: Func): readonly string[] => [
  `(${func.params.map(p => `%${p.id}${p.path === '' ? '' : ` ${p.path}`} : ${showAval(p.aval)}`).join(', ')}) => {`,
  ...func.insts.flatMap(printInst).map(line => `  ${line}`),
  `  return ${refs(func.results)}`,
  '}',
]

/** A function as text, without a trailing newline. */
export const printFunc = (func: Func): string => lines(func).join('\n')

/** A program as text: its name, where it is declared, its configuration, and its function with the paths of the results. */
export const printProgram = (program: Program): string =>
  [
    `// ${program.file}:${program.line}`,
    `program ${program.name}${pairs(Object.fromEntries(Object.entries(program.config).map(([key, value]) => [key, `${value}`])))}`,
    printFunc(program.func),
    ...program.outputs.map((path, i) => `// result ${path === '' ? i : path}: %${at(program.func.results, i)}`),
  ].join('\n')
