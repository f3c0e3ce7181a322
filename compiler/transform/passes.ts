/**
 * The pipeline between lowering and fusion, as a value: named passes in order, run until nothing changes. The verifier
 * looks at the result of each.
 */
import type { Func } from '../ir/ir.ts'
import { verify } from '../ir/verify.ts'
import { accumulate } from './accumulate.ts'
import { cse, keyOf } from './cse.ts'
import { dce } from './dce.ts'
import { fission } from './fission.ts'
import { fold } from './fold.ts'
import { licm } from './licm.ts'
import { mergeContracts } from './mergeContracts.ts'
import { scans } from './scans.ts'
import { siblings } from './siblings.ts'
import { simplify } from './simplify.ts'

export type Pass = { readonly name: string; readonly run: (func: Func) => Func }

export const passes: readonly Pass[] = [
  { name: 'simplify', run: simplify },
  { name: 'fold', run: fold },
  { name: 'cse', run: cse },
  // what is read once is known only after dead readers are gone
  { name: 'dce', run: dce },
  { name: 'merge contracts', run: mergeContracts },
  { name: 'scans', run: scans },
  { name: 'siblings', run: siblings },
  { name: 'licm', run: licm },
  { name: 'dce', run: dce },
  { name: 'fission', run: fission },
  { name: 'dce', run: dce },
  // looks for carries that nothing else reads
  { name: 'accumulate', run: accumulate },
]

/** Rounds of the whole list; each makes progress, this only bounds a mistake of ours. */
const rounds = 12

/** Runs one pass and verifies what it made. */
export const runPass = (pass: Pass, func: Func): Func => {
  const made = pass.run(func)
  verify(made, `after ${pass.name}`)
  return made
}

/** The function, with the same meaning, after all passes. Parameters and results keep their number and order. */
export const optimise = (func: Func, list: readonly Pass[] = passes): Func => {
  verify(func, 'after lowering')
  const round = (before: Func, key: string, left: number): Func => {
    const made = list.reduce((f, pass) => runPass(pass, f), before)
    const next = keyOf(made)
    return next === key || left === 1 ? dce(made) : round(made, next, left - 1)
  }
  return round(func, keyOf(func), rounds)
}
