/** Layers over generic and named dims that must type-check as they stand. */
import {
  add, at, concat, contract, conv2d, convTranspose2d, dropFirst, dropLast, first, flatten, grad, leakyRelu, matmul, matvec, mean, mul, outer, program, relu, reshape, scan, select, gt,
  sigmoid, softmax, softplus, stack, sub, stopGradient, sum, tanh, transpose, treeLeaves, treeMap, valueAndGrad, vmap, zeros,
} from '../../../dsl/index.ts'
import type { Add, Batched, Dim, Mul, Scalar, Shape, Tensor, Vec } from '../../../dsl/index.ts'

export type Linear<I, O> = { readonly weight: Tensor<[O, I]>; readonly bias: Vec<O> }
export const linear = <I extends Dim, O extends Dim>(p: Linear<I, O>, x: Vec<NoInfer<I>>): Vec<O> => add(matvec(p.weight, x), p.bias)

export type Mlp<I, H, O> = { readonly l1: Linear<I, H>; readonly l2: Linear<H, O> }
export const mlp = <I extends Dim, H extends Dim, O extends Dim>(p: Mlp<I, H, O>, x: Vec<NoInfer<I>>): Vec<O> => linear(p.l2, relu(linear(p.l1, x)))
export const residual = <I extends Dim, H extends Dim>(p: Mlp<I, H, I>, x: Vec<I>): Vec<I> => add(x, mlp(p, x))

export type Lstm<I, H> = { readonly i: Linear<Add<I, H>, H>; readonly f: Linear<Add<I, H>, H>; readonly o: Linear<Add<I, H>, H>; readonly g: Linear<Add<I, H>, H> }
export type State<H> = { readonly h: Vec<H>; readonly c: Vec<H> }
export const cell = <I extends Dim, H extends Dim>(p: Lstm<I, H>, { h, c }: State<H>, x: Vec<I>): State<H> => {
  const xh = concat(x, h)
  const c2 = add(mul(sigmoid(linear(p.f, xh)), c), mul(sigmoid(linear(p.i, xh)), tanh(linear(p.g, xh))))
  return { h: mul(sigmoid(linear(p.o, xh)), tanh(c2)), c: c2 }
}
export const lstm = <T extends Dim, I extends Dim, H extends Dim>(p: Lstm<I, H>, s0: State<H>, xs: Tensor<[T, I]>, reverse = false): Tensor<[T, H]> => {
  const [, hs] = scan(s0, xs, (s, x) => { const n = cell(p, s, x); return [n, n.h] }, { reverse })
  return hs
}
export const bi = <T extends Dim, I extends Dim, H extends Dim>(p: Lstm<I, H>, q: Lstm<I, H>, s0: State<H>, xs: Tensor<[T, I]>): Tensor<[T, Add<H, H>]> =>
  vmap({ a: lstm(p, s0, xs), b: lstm(q, s0, xs, true) }, r => concat(r.a, r.b))
export const deep = <H extends Dim>(ps: readonly Linear<H, H>[], x: Vec<H>): Vec<H> => ps.reduce<Vec<H>>((h, p) => relu(linear(p, h)), x)
export const attend = <T extends Dim, K extends Dim, V extends Dim>(q: Tensor<[T, K]>, k: Tensor<[T, K]>, v: Tensor<[T, V]>): Tensor<[T, V]> => matmul(softmax(matmul(q, transpose(k))), v)
export const scores = <B extends Dim, T extends Dim, K extends Dim>(q: Tensor<[B, T, K]>, k: Tensor<[B, T, K]>): Tensor<[B, T]> => contract('btk,btk->bt', q, k)
export const gated = <Z extends Dim>(g: Vec<Z>, a: Vec<Z>, b: Vec<Z>): Vec<Z> => add(mul(g, a), mul(sub(1, g), b))
export const elementwise = <S extends Shape>(x: Tensor<S>, s: Scalar): Tensor<S> => mul(s, add(mul(x, s), sub(1, softplus(x))))
export const where = <S extends Shape>(x: Tensor<S>): Tensor<S> => select(gt(x, 0), x, 0)

export type Conv<I, O, K> = { readonly weight: Tensor<[O, I, K, K]>; readonly bias: Vec<O> }
export const twice = <C extends Dim>(a: Tensor<[C, C, 3, 3]>, b: Tensor<[C, C, 3, 3]>, x: Tensor<[C, 16, 16]>): Tensor<[C, 16, 16]> => conv2d(leakyRelu(conv2d(x, a, { padding: 1 })), b, { padding: 1 })
export const down = <C extends Dim, O extends Dim>(w: Tensor<[O, C, 4, 4]>, l: Linear<Mul<O, 256>, O>, x: Tensor<[C, 32, 32]>): Vec<O> => linear(l, flatten(conv2d(x, w, { stride: 2, padding: 1 })))
export const up = <C extends Dim, O extends Dim>(w: Tensor<[C, O, 4, 4]>, x: Tensor<[C, 8, 8]>): Tensor<[O, 16, 16]> => convTranspose2d(x, w, { stride: 2, padding: 1 })
export const pixel = <N extends Dim>(x: Vec<N>): Tensor<[N, 1, 1]> => reshape(x, [flattened(x), 1, 1])
declare const flattened: <N>(x: Vec<N>) => N

export type Bank<N, I, O> = Batched<N, Conv<I, O, 4>>
export const shifted = (z: Tensor<['T', 'Z']>): Tensor<['T-1', 'Z']> => sub(dropFirst(z), dropLast(z))
export const rejoined = (first: Tensor<[1, 'Z']>, z: Tensor<['T', 'Z']>): Tensor<['T', 'Z']> => add(z, concat(first, dropLast(z)))
export const frames = (x: Tensor<['B', 'T', 3, 64, 64]>): Tensor<['B*T', 3, 64, 64]> => reshape(x, ['B*T', 3, 64, 64])
export const swapped = (x: Tensor<['B', 'T', 2]>): Tensor<['T', '2*B']> => reshape(x, ['T', '2*B'])

type Params = { readonly a: Linear<'Z', 'H'>; readonly b: readonly [Vec<'H'>, { readonly c: Vec<'Z'> }] }
const loss = (p: Params, x: Vec<'Z'>): Scalar => sum(mul(linear(p.a, add(x, p.b[1].c)), p.b[0]))
export const gradient: (p: Params, x: Vec<'Z'>) => Params = grad(loss)
export const withAux = valueAndGrad((p: Params, x: Vec<'Z'>) => [loss(p, x), { x }])
export const aux: (p: Params, x: Vec<'Z'>) => Vec<'Z'> = (p, x) => withAux(p, x).value[1].x
export const step = (p: Params, x: Vec<'Z'>): Params => treeMap((w, g) => sub(w, mul(0.1, g)), p, gradient(p, x))
export const hessian = (x: Vec<'Z'>): Vec<'Z'> => grad((y: Vec<'Z'>) => sum(grad((w: Vec<'Z'>) => sum(mul(w, mul(w, w))))(y)))(x)
export const compiled = program(step, { Z: 3, H: 4 })
export const called: Parameters<typeof compiled.call>[1] = zeros([3])
export const averaged: Vec<3> = mean(stack([zeros([3]), called]), 0)
export const taken: Tensor<[3, 3]> = outer(at(stack([called, called]), 1), first(stack([called, called])))
type Mixed = { readonly a: Vec<'Z'>; readonly count: Scalar<'i32'>; readonly seen: readonly [Vec<3, 'bool'>] }
export const held = (tree: Mixed): Mixed => treeMap(x => stopGradient(x), tree)
export const all = (tree: Mixed): readonly (Tensor<Shape> | Tensor<Shape, 'i32'> | Tensor<Shape, 'bool'>)[] => treeLeaves(tree)
export const ramp = (tree: { readonly i: Vec<3, 'i32'> }): { readonly i: Vec<3, 'i32'> } => treeMap(x => relu(x), tree)
