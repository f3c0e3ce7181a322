/**
 * Functions under construction, nested as the bodies of vmap, scan and grad are. A tensor of an outer region that is used
 * inside becomes a parameter of every region between (closure conversion); the captures come first among the parameters.
 */
import { refuse } from '../../dsl/errors.ts'
import type { Aval } from '../../dsl/core/prim.ts'
import { builder, type Builder } from '../ir/build.ts'
import type { Func, Id, Param } from '../ir/ir.ts'
import { kind, type Sym } from './values.ts'
import type { Machine } from './machine.ts'

export type Region = {
  readonly up: Region | undefined
  readonly build: Builder
  /** Parameters as declared: the arguments of the body. */
  readonly own: Param[]
  /** Outer tensors used here, with the parameter that stands for each. */
  readonly captures: { readonly outer: Sym; readonly inner: Sym }[]
}

export const region = (up: Region | undefined): Region => ({ up, build: builder(), own: [], captures: [] })

export const symbol = (at: Region, id: Id): Sym => ({ [kind]: 'tensor', region: at, id, aval: at.build.aval(id) })

/** Declares the next parameter of a region. */
export const parameter = (at: Region, aval: Aval, path: string): Sym => {
  const id = at.build.param(aval, path)
  at.own.push({ id, aval, path })
  return symbol(at, id)
}

const escaped = 'a tensor of a body that has ended is used; return the tensor itself, not a function that closes over it'

/** A tensor as the region sees it: itself, or the parameter that captures it. */
export const use = (at: Region, x: Sym): Sym => {
  if (x.region === at) return x
  const outer = use(at.up ?? refuse({ kind: 'shape', operation: 'vmap, scan or grad', message: escaped }), x)
  const known = at.captures.find(c => c.outer.id === outer.id)
  if (known !== undefined) return known.inner
  const inner = symbol(at, at.build.param(outer.aval, ''))
  at.captures.push({ outer, inner })
  return inner
}

/** The region under construction. */
export const current = (m: Machine): Region => {
  return m.region ?? refuse({ kind: 'shape', operation: 'program', message: 'a tensor is computed outside of a program' })
}

export type Body<A> = {
  readonly func: Func
  /** Outer tensors, one for each of the leading parameters. */
  readonly captures: readonly Sym[]
  readonly value: A
}

/**
 * Builds a body within a nested region. `f` declares parameters and returns the tensors that are the results, with a
 * value of its own. The function's parameters are the captures, then those declared, in order.
 */
export const nested = <A>(m: Machine, f: (inner: Region) => { readonly results: readonly Sym[]; readonly value: A }): Body<A> => {
  const up = current(m)
  const inner = region(up)
  m.region = inner
  try {
    const { results, value } = f(inner)
    const ids = results.map(x => use(inner, x).id)
    const params = [...inner.captures.map(c => ({ id: c.inner.id, aval: c.inner.aval, path: '' })), ...inner.own]
    return { func: { ...inner.build.finish(ids), params }, captures: inner.captures.map(c => c.outer), value }
  } finally {
    m.region = up
  }
}
