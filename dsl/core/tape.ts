/**
 * Reverse-mode differentiation of eager functions: run, record, sweep back. The sweep applies the rules of vjp.ts through
 * the levels further out, so the gradient of a gradient is just that.
 */
import type { Attrs, Prim } from './prim.ts'
import type { Opaque } from './apply.ts'
import type { Tape, Value } from './tracked.ts'
import { refuse } from '../errors.ts'
import { eager, isTensor } from './apply.ts'
import { showAval } from './dense.ts'
import { isTracked, track } from './tracked.ts'
import { vjp } from './vjp.ts'

/** What `differentiate` gives: the loss, what else the function returned, and the gradient by each of its arguments. */
export type Differentiated = { readonly value: Opaque; readonly aux: readonly Opaque[]; readonly grads: readonly Opaque[] }

// How many calls of `differentiate` are running.
let depth = 0

/** A value as the levels outside this tape see it. */
const released = (tape: Tape, value: Value): Value => (isTracked(value) && value.tape === tape ? value.value : value)

const sweep = (tape: Tape, from: number): ReadonlyMap<number, Value> => {
  const cotangents = new Map<number, Value>([[from, eager.op('fill', [], { shape: [], dtype: 'f32', value: 1 })]])
  for (const record of tape.records.toReversed()) {
    const ct = cotangents.get(record.place)
    if (ct === undefined) continue
    cotangents.delete(record.place)
    const needed = record.parents.map(place => place >= 0)
    // Attributes fit the primitive by the type of the record.
    const gradients = vjp<Value, Prim>(eager, record.prim, record.inputs, record.output, record.attrs as Attrs[Prim], ct, needed)
    gradients.forEach((gradient, i) => {
      const place = record.parents[i]!
      if (gradient === null || place < 0) return
      const before = cotangents.get(place)
      cotangents.set(place, before === undefined ? gradient : eager.op('add', [before, gradient], {}))
    })
  }
  return cotangents
}

/**
 * The value of `f` at `xs` and its gradients by each of them; zeros where `f` does not depend on one. `f` returns the
 * loss, an f32 scalar, or an array of the loss and of tensors that are passed on as `aux`. Refused (kind 'shape') where
 * the loss is not an f32 scalar or an argument is not f32.
 */
export const differentiate = (f: (xs: readonly Opaque[]) => Opaque | readonly [loss: Opaque, ...aux: Opaque[]], xs: readonly Opaque[]): Differentiated => {
  xs.forEach((x, i) => {
    if (eager.aval(x as Value).dtype !== 'f32')
      refuse({ kind: 'shape', operation: 'grad', message: `cannot differentiate by argument ${i}, ${showAval(eager.aval(x as Value))}: only f32` })
  })
  const tape: Tape = { level: ++depth, records: [], places: 0, open: true }
  try {
    const inputs = xs.map(x => track(tape, x as Value))
    const returned = f(inputs)
    // An array is the loss and what goes with it; `f` returns tensors, which `eager.aval` checks.
    const [loss, ...aux] = (isTensor(returned) ? [returned] : returned) as readonly Value[]
    const { shape, dtype } = eager.aval(loss!)
    if (dtype !== 'f32' || shape.length !== 0)
      refuse({ kind: 'shape', operation: 'grad', message: `the loss must be an f32 scalar, and is ${showAval({ shape, dtype })}` })
    const cotangents = isTracked(loss) && loss.tape === tape ? sweep(tape, loss.place) : new Map<number, Value>()
    const grads = inputs.map(x => cotangents.get(x.place) ?? eager.op('fill', [], { ...eager.aval(x), value: 0 }))
    return { value: released(tape, loss!), aux: aux.map(x => released(tape, x)), grads }
  } finally {
    tape.open = false
    depth--
  }
}
