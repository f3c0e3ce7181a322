/**
 * vmap, scan, grad and valueAndGrad: the body is read once, into a function of its own; the transformation is applied to
 * that function at once, and its result copied in place.
 */
import { ts } from 'ts-morph'
import type { Aval } from '../../dsl/core/prim.ts'
import type { Func, Id } from '../ir/ir.ts'
import { batch } from '../transform/batch.ts'
import { valueAndGrad as differentiate } from '../transform/vjp.ts'
import { call } from './calls.ts'
import { guarded, originOf, reject, type Machine } from './machine.ts'
import { current, nested, parameter, symbol, use, type Region } from './regions.ts'
import { describe, field, isCallable, isList, isRec, isTensor, leavesOf, mapTensors, native, showAval, tensorsOf, type Callable, type Leaf, type Native, type Sym, type Value } from './values.ts'

const functionOf = (m: Machine, f: Value, at: ts.Node, of: string): Callable =>
  isCallable(f) ? f : reject(m, m.site ?? at, `${of} takes a function, not ${describe(f)}`)

/** The tree with a parameter of the region for every tensor. */
const parameters = (here: Region, tree: Value, of: (aval: Aval) => Aval, prefix = ''): Value => mapTensors(tree, (x, path) => parameter(here, of(x.aval), prefix === '' ? path : field(prefix, path)))

/** The tree with the tensors replaced in order. */
const refill = (tree: Value, tensors: readonly Sym[]): Value => {
  const rest = tensors[Symbol.iterator]()
  return mapTensors(tree, x => rest.next().value ?? x)
}

const inlined = (m: Machine, func: Func, args: readonly Id[], at: ts.Node): readonly Sym[] => {
  const here = current(m)
  m.touched += 1
  return guarded(m, at, () => here.build.inline(func, args, originOf(m, at))).map(id => symbol(here, id))
}

const slice = (a: Aval): Aval => ({ shape: a.shape.slice(1), dtype: a.dtype })

/** The size of the leading axis of every tensor of a tree. */
const leading = (m: Machine, xs: Value, at: ts.Node, of: string): number => {
  const leaves = leavesOf(xs).flatMap(({ path, value }) => (isTensor(value) ? [{ path, shape: value.aval.shape }] : []))
  const show = (l: { readonly path: string; readonly shape: readonly number[] }): string => `${l.path === '' ? 'it' : l.path} is [${l.shape.join(', ')}]`
  const first = leaves[0]
  if (first === undefined) return reject(m, m.site ?? at, `${of}: there is no tensor to run over in ${describe(xs)}`)
  const scalar = leaves.find(l => l.shape.length === 0)
  if (scalar !== undefined) return reject(m, m.site ?? at, `${of}: ${show(scalar)}, a scalar without a leading axis`, 'what does not vary is simply used inside the function')
  const odd = leaves.find(l => l.shape[0] !== first.shape[0])
  if (odd !== undefined) return reject(m, m.site ?? at, `${of}: leading axes differ: ${show(first)}, ${show(odd)} [${first.shape[0]} != ${odd.shape[0]}]`)
  return first.shape[0] ?? 0
}

/** vmap(xs, f): f on every slice of the leading axis; what f closes over is shared. */
export const vmap: Native = native('vmap', (m, [xs, f], at) => {
  const body = functionOf(m, f, at, 'vmap')
  const size = leading(m, xs, at, 'vmap')
  const { func, captures, value } = nested(m, here => {
    const result = call(m, body, [parameters(here, xs, slice)], at)
    return { results: tensorsOf(result), value: result }
  })
  const mapped = tensorsOf(xs)
  const flags = [...captures.map(() => false), ...mapped.map(() => true)]
  const batched = guarded(m, at, () => batch(func, flags, size))
  const here = current(m)
  return refill(value, inlined(m, batched, [...captures, ...mapped].map(x => use(here, x).id), at))
})

/** What keeps a carry from leaving a step as it entered it. */
const drift = (before: Value, after: Value): string | undefined => {
  const [a, b] = [leavesOf(before), new Map(leavesOf(after).map(leaf => [leaf.path, leaf]))]
  const changed = a.find(leaf => {
    const next = b.get(leaf.path)
    if (next === undefined) return true
    if (isTensor(leaf.value) && isTensor(next.value)) return showAval(leaf.value.aval) !== showAval(next.value.aval)
    return !Object.is(leaf.value, next.value) && !(isCallable(leaf.value) && isCallable(next.value))
  })
  if (changed === undefined) return undefined
  const next = b.get(changed.path)
  const where = changed.path === '' ? 'the carry' : `the carry's ${changed.path}`
  const show = (leaf: Leaf): string => (isTensor(leaf.value) ? showAval(leaf.value.aval) : describe(leaf.value))
  return next === undefined ? `${where} enters a step as ${show(changed)} and is lost` : `${where} enters a step as ${show(changed)} and leaves it as ${show(next)}`
}

/** scan(init, xs, f, { reverse }): f along the leading axis, from carry and slice to [next carry, y]. */
export const scan: Native = native('scan', (m, [init, xs, f, options], at) => {
  const step = functionOf(m, f, at, 'scan')
  const length = leading(m, xs, at, 'scan')
  const reverse = isRec(options) && options['reverse'] === true
  const { func: body, captures, value } = nested(m, here => {
    const result = call(m, step, [parameters(here, init, a => a), parameters(here, xs, slice)], at)
    if (!isList(result) || result.length !== 2) return reject(m, m.site ?? at, `scan: a step returns [next carry, y], not ${describe(result)}`)
    const [next, y] = result
    const problem = drift(init, next)
    if (problem !== undefined) return reject(m, m.site ?? at, `scan: ${problem}`, 'the carry keeps its shapes and element types in every step')
    // in the order of the carry that entered: the step may have built its record in another
    const byPath = new Map(leavesOf(next).map(leaf => [leaf.path, leaf.value]))
    const carried = leavesOf(init).flatMap(leaf => {
      const left = byPath.get(leaf.path)
      return isTensor(leaf.value) && left !== undefined && isTensor(left) ? [left] : []
    })
    return { results: [...carried, ...tensorsOf(y)], value: y }
  })
  const here = current(m)
  const ids = (tensors: readonly Sym[]): readonly Id[] => tensors.map(x => use(here, x).id)
  const spec = { length, reverse, consts: ids(captures), init: ids(tensorsOf(init)), xs: ids(tensorsOf(xs)), body }
  m.touched += 1
  const results = guarded(m, at, () => here.build.scan(spec, originOf(m, at))).map(id => symbol(here, id))
  const carries = tensorsOf(init).length
  return [refill(init, results.slice(0, carries)), refill(value, results.slice(carries))]
})

type Differentiated = { readonly value: Value; readonly grad: Value }

/** Counts, keys and indices have no gradient: zeros stand for it, as in the eager meaning. */
const differentiable = (x: Sym): boolean => x.aval.dtype === 'f32'

/** The value of a loss, and its gradient by the first argument. The other arguments are captured like any outer tensor. */
const gradient = (m: Machine, loss: Value, args: readonly Value[], at: ts.Node, of: string): Differentiated => {
  const f = functionOf(m, loss, at, of)
  const [params, ...rest] = args
  const leaves = tensorsOf(params)
  if (leaves.length === 0) return reject(m, m.site ?? at, `${of}: the first argument holds no tensor to differentiate by; it is ${describe(params)}`)
  const { func, captures, value } = nested(m, here => {
    const inner = mapTensors(params, (x, path) => (differentiable(x) ? parameter(here, x.aval, path) : x))
    const result = call(m, f, [inner, ...rest], at)
    const scalar = isList(result) ? result[0] : result
    if (scalar === undefined || !isTensor(scalar)) return reject(m, m.site ?? at, `${of}: the loss returns a scalar tensor or [scalar, other values], not ${describe(result)}`)
    const { shape, dtype } = scalar.aval
    if (shape.length !== 0 || dtype !== 'f32') return reject(m, m.site ?? at, `${of}: the loss is ${showAval(scalar.aval)}, it must be a scalar f32[]`, 'take sum(x) or mean(x)')
    return { results: tensorsOf(result), value: result }
  })
  const by = leaves.filter(differentiable)
  const derived = guarded(m, at, () => differentiate(func, by.map((_, i) => captures.length + i)))
  const here = current(m)
  const results = inlined(m, derived, [...captures, ...by].map(x => use(here, x).id), at)
  const gradients = results.slice(func.results.length)[Symbol.iterator]()
  const zeros = (x: Sym): Sym => symbol(here, here.build.op('fill', [], { ...x.aval, value: 0 }, originOf(m, at)))
  const grad = mapTensors(params, x => (differentiable(x) ? (gradients.next().value ?? x) : zeros(x)))
  return { value: refill(value, results.slice(0, func.results.length)), grad }
}

/** grad(loss): (p, ...rest) => the gradient by p. */
export const grad: Native = native('grad', (_, [loss]) => native('grad', (m, args, at) => gradient(m, loss, args, at, 'grad').grad))

/** valueAndGrad(loss): (p, ...rest) => { value, grad }. */
export const valueAndGrad: Native = native('valueAndGrad', (_, [loss]) => native('valueAndGrad', (m, args, at) => gradient(m, loss, args, at, 'valueAndGrad')))
