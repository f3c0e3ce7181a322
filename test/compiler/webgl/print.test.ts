/** Kernels of gpu.js as text: what a reader sees, and what gpu.js would misread otherwise. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { plan as planOf } from '../../../compiler/fuse/plan.ts'
import { type Builder as IrBuilder, builder as irBuilder, define } from '../../../compiler/ir/build.ts'
import type { Func, Id } from '../../../compiler/ir/ir.ts'
import { type Builder, builder } from '../../../compiler/schedule/nest/builder.ts'
import { type Local, type Value, apply, constOf, f32, i32 } from '../../../compiler/schedule/nest/nest.ts'
import { fill, templateOf } from '../../../compiler/targets/webgl/print.ts'
import { compileGl, TooLarge } from '../../../compiler/targets/webgl/program.ts'
import { optimise } from '../../../compiler/transform/passes.ts'
import type { DType } from '../../../dsl/core/prim.ts'

const t = (dtype: DType, ...shape: readonly number[]) => ({ shape, dtype })
type Inputs = Readonly<Record<string, ReturnType<typeof t>>>
const funcOf = (inputs: Inputs, body: (b: IrBuilder, ids: readonly Id[]) => readonly Id[]): Func =>
  define(Object.entries(inputs).map(([path, aval]) => ({ path, aval })), body)
const programOf = (inputs: Inputs, body: (b: IrBuilder, ids: readonly Id[]) => readonly Id[]) =>
  compileGl('test', planOf(optimise(funcOf(inputs, body))))

/** The text of a nest of f32 buffers, but for its first and last line. */
const linesOf = (build: (b: Builder, i: Local, counter: Local) => void, extent = 4): readonly string[] => {
  const b = builder('nest')
  build(b, b.param('i32', 'i'), b.param('i32', 't'))
  const text = fill(templateOf(b.finish(extent), () => 'f32', 'f32'), { name: '', places: [], names: space => `a${space}` })
  return text.split('\n').slice(1, -1).map(l => l.slice(2))
}

test('element-wise: names of arrays, a choice between numbers, a function', () => {
  const { kernels, functions } = programOf({ 'p.l1.weight': t('f32', 4, 8), in: t('f32', 8), word: t('bool', 4, 8) }, (b, [w, x, m]) => {
    const wide = b.op('broadcast', [x!], { shape: [4, 8], axes: [1] })
    const e = b.op('tanh', [b.op('mul', [w!, wide], {})], {})
    return [b.op('select', [m!, e, b.op('maximum', [wide, b.op('neg', [w!], {})], {})], {})]
  })
  assert.equal(functions.map(f => [f.name, f.parameters, f.code.slice(0, 23)]), [['tanh_f32', 1, 'function tanh_f32(x) {\n']])
  assert.equal(kernels.map(k => k.functions), [['tanh_f32']])
  assert.is(kernels[0]!.code, `\
function (word_2, p_l1_weight, in_2) {
  // select  :0:0
  let i = 0
  i++
  i = this.thread.x
  const load = p_l1_weight[i]
  const load_2 = in_2[word_and(i, 7)]
  const t = word_2[i] !== 0 ? tanh_f32(load * load_2) : greatest(load_2, -load)
  return word_and(bits_of(t), 2139095040) > 0 ? t : 0
}`)
})

test('a convolution asks for the bounds that it may miss, once', () => {
  const window = { p: 'p', k: 'k', stride: 1, dilation: 1, pad: 1, base: 1 }
  const { kernels } = programOf({ x: t('f32', 2, 64), 'conv.weight': t('f32', 8, 2, 3) }, (b, [x, w]) =>
    [b.op('contract', [x!, w!], { sizes: { c: 2, o: 8, p: 64, k: 3 }, a: ['c', window], b: ['o', 'c', 'k'], out: ['o', 'p'] })])
  assert.is(kernels[0]!.code, `\
function (x, conv_weight) {
  // contract  :0:0
  let t = 0, t_3 = 0
  t++; t_3++
  t = word_and(this.thread.x, 63)
  let acc = 0
  let acc_2 = 0
  let acc_3 = 0
  const t_2 = t > 0
  t_3 = int_shift_right(this.thread.x, 6) * 6
  if (t_2) {
    acc_2 = x[t - 1] * conv_weight[t_3] + acc_2
  }
  acc_3 = x[t] * conv_weight[t_3 + 1] + acc_3
  const t_4 = t < 63
  if (t_4) {
    acc = x[t + 1] * conv_weight[t_3 + 2] + acc
  }
  if (t_2) {
    acc_2 = x[t + 63] * conv_weight[t_3 + 3] + acc_2
  }
  acc_3 = x[t + 64] * conv_weight[t_3 + 4] + acc_3
  if (t_4) {
    acc = x[t + 65] * conv_weight[t_3 + 5] + acc
  }
  const t_5 = acc + acc_2 + acc_3
  return word_and(bits_of(t_5), 2139095040) > 0 ? t_5 : 0
}`)
})

test('integers are words of two texels', () => {
  const { kernels, arrays } = programOf({ n: t('i32', 5), u: t('u32', 5) }, (b, [n, u]) => [
    b.op('cast', [b.op('lt', [b.op('mul', [n!, n!], {}), b.op('cast', [u!], { dtype: 'i32' })], {})], { dtype: 'i32' }),
    b.op('xor', [u!, b.op('shr', [u!, b.op('fill', [], { shape: [5], dtype: 'u32', value: 3 })], {})], {}),
  ])
  assert.equal(arrays.map(a => [a.dtype, a.elements]), [['i32', 5], ['u32', 5], ['i32', 5], ['u32', 5]])
  assert.equal(kernels.map(k => [k.inputs, k.texels]), [[[10, 10], 10], [[10], 10]])
  assert.is(kernels.map(k => k.code).join('\n'), `\
function (n, u) {
  // cast_1  :0:0
  let i = 0, load = 0
  i++; load++
  i = int_div(this.thread.x, 2)
  load = word(n[2 * i], n[2 * i + 1])
  return half_word(choose_int(word_mul(load, load) < word(u[2 * i], u[2 * i + 1]), 1, 0), this.thread.x)
}
function (u) {
  // cast_2  :0:0
  let i = 0, load = 0
  i++; load++
  i = int_div(this.thread.x, 2)
  load = word(u[2 * i], u[2 * i + 1])
  return half_word(word_xor(load, uint_shift_right(load, 3)), this.thread.x)
}`)
})

test('a scan: what a turn does not write is passed on, and counters are parameters', () => {
  const inner = irBuilder()
  const [c, x] = [inner.param(t('f32', 3), 'c'), inner.param(t('f32', 3), 'x')]
  const next = inner.op('add', [inner.op('mul', [c, c], {}), x], {})
  const body = inner.finish([next, next])
  const { kernels, steps, inputs, outputs } = programOf({ h: t('f32', 3), xs: t('f32', 6, 3) }, (b, [h, xs]) =>
    b.scan({ length: 6, reverse: true, consts: [], init: [h!], xs: [xs!], body }))
  assert.equal([inputs, outputs], [[0, 1], [2, 3]])
  assert.equal(steps.map(s => (s.kind === 'loop' ? [s.size, s.steps.map(i => (i.kind === 'kernel' ? i.runs : i.kind))] : s.kind)), [
    'kernel', [6, [[{ kernel: 1, inputs: [2, 1, 3], output: 3 }], [{ kernel: 2, inputs: [3], output: 2 }]]],
  ])
  assert.is(kernels[1]!.code, `\
function (result_0, xs, result_1, t) {
  // add_first  :0:0
  let i = 0
  i++
  i = this.thread.x
  if (int_div(i, 3) === 5 - t) {
    const load = result_0[int_rem(i, 3)]
    const t_2 = load * load + xs[i]
    return word_and(bits_of(t_2), 2139095040) > 0 ? t_2 : 0
  } else {
    return result_1[i]
  }
}`)
})

test('what gpu.js would misread has a name first: calls within calls of the same function, truth values, whole numbers, indices that are read', () => {
  assert.equal(linesOf((b, i) => {
    const [x, y, z] = [0, 1, 2].map(space => b.load('f32', space, i)) as [never, never, never]
    const most = apply('max', 'f32', apply('max', 'f32', x, y), z)
    b.store(3, i, 0, apply('add', 'f32', most, apply('convert', 'f32', apply('le', 'bool', x, y))))
  }).slice(-3), [
    'const t_2 = greatest(load, load_2)',
    'const t_3 = load <= load_2 ? 1 : 0',
    'return greatest(t_2, a2[i]) + t_3',
  ])
  const b = builder('nest')
  const [i] = [b.param('i32', 'i')]
  b.store(2, i, 0, { kind: 'load', type: 'f32', space: 0, at: { kind: 'load', type: 'i32', space: 1, at: i, offset: 0 }, offset: 0 })
  const text = fill(templateOf(b.finish(4), space => (space === 1 ? 'i32' : 'f32'), 'f32'), { name: '', places: [], names: space => `a${space}` })
  assert.match(text, / {2}at = word\(a1\[2 \* this\.thread\.x\], a1\[2 \* this\.thread\.x \+ 1\]\)\n {2}return a0\[at\]/)
})

test('numbers that GLSL has no literals for are named by their bits; constants are not computed with', () => {
  const stored = (...values: readonly number[]) =>
    values.map(x => linesOf((b, i) => b.store(0, i, 0, f32(x))).join('; '))
  assert.equal(stored(NaN, Infinity, -Infinity, -0, 1e-40, 0.1, -3, 1e21), [
    'return float_of_bits(2143289344)', 'return float_of_bits(2139095040)', 'return float_of_bits(-8388608)', 'return float_of_bits(-2147483648)',
    'return float_of_bits(71362)', 'return 0.1', 'return -3', 'return 1e21',
  ])
  assert.equal(linesOf((b, i) => b.store(0, i, 0, apply('div', 'f32', f32(1), f32(0)))), ['const c = 1', 'return c / 0'])
})

test('a negative number takes the sign of a sum; what begins with one does not', () => {
  const sum = (fn: 'add' | 'sub', y: (x: Value) => Value) =>
    linesOf((b, i) => {
      const x = b.load('f32', 0, i)
      b.store(1, i, 0, apply(fn, 'f32', x, y(x)))
    }).at(-1)
  assert.equal([sum('add', () => f32(-4)), sum('sub', () => f32(-1e-9)), sum('sub', x => apply('sub', 'f32', f32(-4), x)), sum('add', x => apply('neg', 'f32', x))], [
    'return a0[this.thread.x] - 4', 'return a0[this.thread.x] + 1e-9', 'return load - (-4 - load)', 'return load + -load',
  ])
})

test('loops that gpu.js would not count are counted in steps of 1 from 0', () => {
  const lines = linesOf((b, i, t) => {
    const sum = b.variable('f32', 'sum')
    b.set(sum, f32(0))
    b.loop('k', t, i32(9), 2, k => b.set(sum, b.call('add', 'f32', sum, b.load('f32', 0, k))))
    b.loop('k', i32(1), i32(5), 1, k => b.set(sum, b.call('add', 'f32', sum, b.load('f32', 0, k))))
    b.store(1, i, 0, sum)
  })
  assert.equal(lines, [
    'let k = 0, turns = 0, from = 0', 'k++; turns++; from++', 'let sum = 0', 'turns = int_div(9 - t + 1, 2)', 'from = t',
    'for (let turn = 0; turn < turns; turn++) {', '  k = from + turn * 2', '  sum = sum + a0[k]', '}',
    'for (let k_2 = 1; k_2 < 5; k_2++) {', '  sum = sum + a0[k_2]', '}', 'return sum',
  ])
})

test('what ranges decide is not asked', () => {
  assert.equal(linesOf((b, i) => {
    const digit = b.call('rem', 'i32', i, i32(4))
    const inside = b.call('lt', 'bool', b.call('bits', 'u32', b.call('sub', 'i32', digit, i32(1))), constOf('u32', 3))
    b.branch(inside, () => b.store(1, i, 0, b.load('f32', 0, digit)), () => b.store(1, i, 0, f32(0)))
  }, 16), [
    'let t_2 = 0', 't_2++', 't_2 = int_rem(this.thread.x, 4)', 'if (t_2 >= 1) {', '  return a0[t_2]', '} else {', '  return 0', '}',
  ])
})

test('what is equal once ranges have decided has one name, and branches on it are one', () => {
  assert.equal(linesOf((b, i) => {
    const [sum, total] = [b.variable('f32', 'sum'), b.variable('f32', 'total')]
    ;[sum, total].forEach(local => b.set(local, f32(0)))
    const inside = (v: Value, below: number): Value => b.call('lt', 'bool', b.call('bits', 'u32', v), constOf('u32', below))
    const above = b.call('sub', 'i32', i, i32(3))
    const take = (condition: Value, local: Local): void => b.branch(condition, () => b.set(local, b.call('add', 'f32', local, b.load('f32', 0, i))))
    // of 16 elements: both are i >= 3
    take(inside(above, 16), sum)
    take(inside(above, 13), total)
    b.store(1, i, 0, b.call('mul', 'f32', sum, total))
  }, 16), [
    'let sum = 0', 'let total = 0',
    'if (this.thread.x >= 3) {', '  const load = a0[this.thread.x]', '  sum = sum + load', '  total = total + load', '}', 'return sum * total',
  ])
})

test('kernels that differ in names alone are one; an array that no texture holds has no program', () => {
  const twice = (b: IrBuilder, x: Id): Id => b.op('add', [x, x], {})
  const { kernels, steps } = programOf({ a: t('f32', 4), b: t('f32', 4), c: t('f32', 5) }, (b, [x, y, z]) => [twice(b, x!), twice(b, y!), twice(b, z!)])
  assert.equal(kernels.map(k => [k.name, k.texels]).map(k => k[1]), [4, 5])
  assert.is(steps.flatMap(s => (s.kind === 'kernel' ? s.runs : [])).length, 3)
  const large = planOf(optimise(funcOf({ 'p.weight': t('i32', 8192, 4097) }, (b, [x]) => [b.op('not', [b.op('eq', [x!, x!], {})], {})])))
  assert.throws(() => compileGl('test', large), (error: unknown) => error instanceof TooLarge && /^p\.weight takes 67125248 numbers; /.test(error.message))
})

test.run()
