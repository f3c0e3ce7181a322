/**
 * Probes: small classifiers that say how much of a label can be read from a vector of features. The linear one is multinomial
 * logistic regression; the other one has a hidden layer. Both see one example; what is made of them is in programs.ts.
 */
import { add, at, logSumExp, mul, relu, split, square, sub, sum, type Key } from '../../dsl/index.ts'
import { defaultLinear, initLinear, linear, type Linear } from '../../dsl/nn/index.ts'
import type { Scalar, Vec } from '../../dsl/tensor.ts'

/** Logistic regression: C logits from F features. */
export type LinearProbe = { readonly out: Linear<'F', 'C'> }
/** One hidden layer of H rectified units. */
export type MlpProbe = { readonly hidden: Linear<'F', 'H'>; readonly out: Linear<'H', 'C'> }

/** What a kind of probe is: how it starts, its logits, and the sum of squares of its weights (biases are not decayed). */
export type Probe<P> = {
  readonly init: (key: Key) => P
  readonly logits: (p: P, x: Vec<'F'>) => Vec<'C'>
  readonly weights: (p: P) => Scalar
}

export const linearProbe: Probe<LinearProbe> = {
  init: key => ({ out: defaultLinear(key, 'F', 'C') }),
  logits: (p, x) => linear(p.out, x),
  weights: p => sum(square(p.out.weight)),
}

export const mlpProbe: Probe<MlpProbe> = {
  init: key => {
    const keys = split(key, 2)
    return { hidden: initLinear(at(keys, 0), 'F', 'H'), out: defaultLinear(at(keys, 1), 'H', 'C') }
  },
  logits: (p, x) => linear(p.out, relu(linear(p.hidden, x))),
  weights: p => add(sum(square(p.hidden.weight)), sum(square(p.out.weight))),
}

/**
 * log p(class | x), where `classes` is 1 for a class that exists and 0 for one that does not: those lie so far below the others
 * that their probability is 0 exactly.
 */
export const logProbabilities = (logits: Vec<'C'>, classes: Vec<'C'>): Vec<'C'> => {
  const masked = add(logits, mul(sub(classes, 1), 1e9))
  return sub(masked, logSumExp(masked))
}
