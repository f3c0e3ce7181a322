/**
 * Shape inference that remembers: passes copy most instructions as they are, attributes and all, and the verifier looks at
 * each after every pass.
 */
import { infer } from '../../dsl/core/infer.ts'
import type { Attrs, Aval, Prim } from '../../dsl/core/prim.ts'
import { sameAval } from './view.ts'

type Known = { readonly prim: Prim; readonly inputs: readonly Aval[]; readonly output: Aval }
const known = new WeakMap<object, Known>()

/** `infer`, which for these attributes has often been asked the same before. */
export const inferred = <P extends Prim>(prim: P, inputs: readonly Aval[], attrs: Attrs[P]): Aval => {
  const before = known.get(attrs)
  if (before?.prim === prim && before.inputs.length === inputs.length && before.inputs.every((aval, i) => sameAval(aval, inputs[i]!))) return before.output
  const output = infer(prim, inputs, attrs)
  known.set(attrs, { prim, inputs, output })
  return output
}
