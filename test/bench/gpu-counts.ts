/**
 * What a thread does in one turn of the loop of tiled products, counted in their nests, without any device: multiply-adds,
 * vectors of four from and to workgroup memory, loads of global memory, and operations on integers and conditions (equal ones
 * once; a device that checks bounds adds one or two for each access).
 * Run with `node --import tsx test/bench/gpu-counts.ts`.
 */
import { cutsFor, clocksOf, columnsOf, rowsOf, threadsOf, type Cut, type Size } from '../../compiler/schedule/gpu/product/tiles.ts'
import { productBy } from '../../compiler/schedule/gpu/product/product.ts'
import type { Dispatch, Dispatched } from '../../compiler/schedule/gpu/dispatch.ts'
import { add, scale, shift, variable } from '../../compiler/schedule/kernel/indexing.ts'
import type { Index, Kernel, Var } from '../../compiler/schedule/kernel/kernel.ts'
import { type Stmt, type Value, lanesOf, valueKey } from '../../compiler/schedule/nest/nest.ts'
import { wgsl } from '../../compiler/targets/wgsl/print.ts'
import { acc, guard, ix, kernel, load, num, op, product, v, when } from '../compiler/wasm/plans.ts'

type Counts = { fma: number; sharedReads: number; sharedWrites: number; vectors: number; scalars: number; integers: number; branches: number }
const counted = (body: readonly Stmt[], shared: ReadonlySet<number>): Counts => {
  const n: Counts = { fma: 0, sharedReads: 0, sharedWrites: 0, vectors: 0, scalars: 0, integers: 0, branches: 0 }
  const seen = new Set<string>()
  const value = (x: Value): void => {
    switch (x.kind) {
      case 'const':
      case 'local':
        return
      case 'load':
        if (shared.has(x.space)) n.sharedReads += 1
        else if (lanesOf(x.type) === 4) n.vectors += 1
        else n.scalars += 1
        return position(x.space, x.at)
      case 'apply': {
        if (x.fn === 'fma') n.fma += lanesOf(x.type)
        else if (['i32', 'u32', 'bool'].includes(x.type) && x.fn !== 'bits' && !seen.has(valueKey(x))) {
          seen.add(valueKey(x))
          n.integers += 1
        }
        return x.args.forEach(value)
      }
      case 'named':
        return x.args.forEach(value)
      case 'lane':
        return value(x.of)
      case 'shuffle':
        value(x.a)
        return value(x.b)
    }
  }
  /** Positions in workgroup memory are four times the number of a vector, which is what a device is given. */
  const position = (space: number, at: Value): void => value(shared.has(space) && at.kind === 'apply' && at.fn === 'shl' ? at.args[0]! : at)
  const stmt = (s: Stmt): void => {
    switch (s.kind) {
      case 'barrier':
      case 'matrix':
        return
      case 'set':
      case 'join':
        return value(s.value)
      case 'store':
        n.sharedWrites += 1
        position(s.space, s.at)
        return value(s.value)
      case 'if':
        n.branches += 1
        value(s.condition)
        return s.then.forEach(stmt)
      case 'for':
        return s.body.forEach(stmt)
    }
  }
  body.forEach(stmt)
  return n
}
/** The loop over turns of the first dispatch. */
const turn = ({ nest, shared }: Dispatch): Counts => {
  const loop = nest.body.find(s => s.kind === 'for')
  if (loop?.kind !== 'for') throw new RangeError(`${nest.name} has no loop`)
  return counted(loop.body, new Set(shared.map(s => s.space)))
}

const matmul = (n: number): Kernel => {
  const [i, j, l] = [v(n, 'i'), v(n, 'j'), v(n, 'l')]
  return kernel([i, j], product([l], load(0, ix(0, [n, i], [1, l])), load(1, ix(0, [n, l], [1, j]))), { buffer: 2, at: ix(0, [n, i], [1, j]), value: acc })
}

/** Batch 32, 32 -> 64 channels, 32 x 32, kernel 4 x 4, stride 2, padding 1: with a bias; by its input; by its weights. */
const [batch, channels, out, high, side] = [32, 32, 64, 32, 16]
const convolution = (): readonly [Kernel, Kernel, Kernel] => {
  const [b, f, y, x, c, ky, kx] = [v(batch, 'b'), v(out, 'f'), v(side, 'y'), v(side, 'x'), v(channels, 'c'), v(4, 'k'), v(4, 'l')]
  const [qy, qx] = [v(high, 'y'), v(high, 'x')]
  const window = (p: Var, k: Var): Index => shift(add(scale(variable(p), 2), variable(k)), -1)
  const back = (q: Var, k: Var): Index => shift(add(variable(q), scale(variable(k), -1)), 1)
  const half = (of: Index): Index => ({ offset: 0, terms: [{ coef: 1, atom: { kind: 'div', of, by: 2 } }] })
  const [rows, columns, up, left] = [window(y, ky), window(x, kx), back(qy, ky), back(qx, kx)]
  const inside = add(ix(0, [channels * high * high, b], [high * high, c]), add(scale(rows, high), columns))
  const image = when([guard(rows, high), guard(columns, high)], load(0, inside))
  const weights = ix(0, [channels * 16, f], [16, c], [4, ky], [1, kx])
  const place = ix(0, [out * side * side, b], [side * side, f], [side, y], [1, x])
  const below = 2 * side - 1
  const at = add(ix(0, [out * side * side, b], [side * side, f]), add(scale(half(up), side), half(left)))
  const gradient = when([guard(up, below, 2), guard(left, below, 2)], load(3, at))
  const input = ix(0, [channels * high * high, b], [high * high, c], [high, qy], [1, qx])
  const value = op('maximum', [op('add', [acc, load(2, variable(f))]), num(0)])
  return [
    kernel([b, f, y, x], product([c, ky, kx], load(1, weights), image), { buffer: 3, at: place, value }),
    kernel([b, c, qy, qx], product([f, ky, kx], gradient, load(1, weights)), { buffer: 0, at: input, value: acc }),
    kernel([f, c, ky, kx], product([b, y, x], image, load(3, place)), { buffer: 1, at: weights, value: acc }),
  ]
}

const [forward, byInput, byWeight] = convolution()
const cases = [['matmul 4096', matmul(4096)], ['convolution', forward], ['by its input', byInput], ['by its weights', byWeight]] as const
const rows = cases.flatMap(([name, k]) => {
  let names = 1000
  const fresh = { variable: () => ++names, space: (count: number) => (names += count) - count + 1 }
  const all: (readonly [Size, Cut, Dispatched])[] = []
  const by = (n: number): void => {
    let found: readonly [Size, Cut] | undefined
    const made = productBy(k, size => {
      const cut = cutsFor(size)[n]!
      found = [size, cut]
      return cut
    }, [], wgsl, fresh)
    if (made !== null && found !== undefined) all.push([...found, made])
  }
  ;[0, 1, 2].forEach(by)
  return all.map(([size, cut, { dispatches }]) => {
    const [first] = dispatches
    const c = turn(first!)
    const { tile } = cut
    const least = (size.batch * size.rows * size.columns * size.steps) / 132 / 128
    const sides = [`${size.batch} x ${size.rows} x ${size.columns} x ${size.steps}`, `${rowsOf(tile)} x ${columnsOf(tile)} x ${tile.depth}`]
    const shape = [tile.buffers, threadsOf(tile), first!.nest.extent, cut.parts]
    const does = [c.fma, c.sharedReads, c.sharedWrites, c.vectors, c.scalars, c.integers, c.branches]
    const clocks = clocksOf(size, cut)
    const rates = [(c.fma / (16 * c.sharedReads)).toFixed(2), `${Math.round(clocks)}`, `${Math.round((100 * least) / clocks)}%`]
    return [name, ...sides, ...[...shape, ...does].map(String), ...rates]
  })
})
const head = [
  'product', 'batch x rows x columns x steps', 'tile', 'buffers', 'threads', 'workgroups', 'parts', 'multiply-adds', 'vectors read', 'written',
  'vec4 loads', 'scalar loads', 'integer ops', 'branches', 'multiply-adds a byte', 'clocks (estimate)', 'of peak',
]
const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
console.log([line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n'))
