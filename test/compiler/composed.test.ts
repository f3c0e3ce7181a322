/** Compositions of index operations as operands of everything, through the whole back end; fixed seeds. */
import { test } from 'uvu'
import { valueAndGrad } from '../../compiler/transform/vjp.ts'
import { randomArgs, withLoss } from './arbitrary.ts'
import { check } from './backend.ts'
import { composed } from './composed.ts'

// sums of up to some hundred terms in single precision
const tolerance = 1e-4

for (let seed = 0; seed < 100; seed += 1) {
  test(`composition ${seed}`, () => {
    const func = composed(seed)
    check(`seed ${seed}`, func, randomArgs(func, seed), tolerance)
  })
}

for (let seed = 100; seed < 125; seed += 1) {
  test(`gradient of composition ${seed}`, () => {
    const loss = withLoss(composed(seed, 3))
    const func = valueAndGrad(loss, loss.params.flatMap((p, i) => (p.aval.dtype === 'f32' ? [i] : [])))
    check(`seed ${seed}`, func, randomArgs(func, seed), tolerance)
  })
}

test.run()
