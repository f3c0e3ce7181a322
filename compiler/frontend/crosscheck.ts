/**
 * The static type of a program's result against what the IR inferred: a cast that lies is found here. Compared by path,
 * because the order of properties may differ between the checker and the evaluation.
 */
import { ts } from 'ts-morph'
import type { Aval } from '../../dsl/core/prim.ts'
import type { Machine } from './machine.ts'
import { recordOf, tensorOf, tupleOf } from './types.ts'
import { element, field, showAval } from './values.ts'

type Stated = { readonly path: string; readonly aval: Aval } | { readonly path: string; readonly problem: string; readonly remedy: string }

/** The tensors of a type with their paths. What is open (arrays of any length, records of any names, options) is left to the IR. */
const stated = (m: Machine, t: ts.Type, path: string, depth = 0): readonly Stated[] => {
  const aval = tensorOf(m, t)
  if (aval !== undefined) return ['problem' in aval ? { path, ...aval } : { path, aval }]
  if (depth > 40) return []
  const items = tupleOf(m, t)
  if (items !== undefined) return items.flatMap((item, i) => stated(m, item, element(path, i), depth + 1))
  const properties = recordOf(m, t)
  return (properties ?? []).filter(p => !p.optional).flatMap(p => stated(m, p.type, field(path, p.name), depth + 1))
}

export type Output = { readonly path: string; readonly aval: Aval }

/** What does not agree, one sentence each; empty where all does. */
export const disagreements = (m: Machine, type: ts.Type, outputs: readonly Output[]): readonly string[] => {
  const inferred = new Map(outputs.map(o => [o.path, o.aval]))
  return stated(m, type, '').flatMap(s => {
    const name = s.path === '' ? 'the result' : `the result's ${s.path}`
    if ('problem' in s) return [`${name}: ${s.problem}`]
    const found = inferred.get(s.path)
    if (found === undefined) return [`${name} is ${showAval(s.aval)} by its type, but the function returns no such tensor`]
    return showAval(found) === showAval(s.aval) ? [] : [`${name} is ${showAval(s.aval)} by its type, but ${showAval(found)} by its computation`]
  })
}
