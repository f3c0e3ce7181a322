/** How many kernels representative functions become: a change of fusion shows here first. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../compiler/compile.ts'
import { print } from '../../dsl/errors.ts'
import { printPlan } from '../../compiler/schedule/kernel/print.ts'

const out = mkdtempSync(join(tmpdir(), 'vdsm-counts-'))
test.after(() => rmSync(out, { recursive: true, force: true }))
const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

const counted = async (file: string, root: string) => {
  const plans = new Map<string, string>()
  const result = await compile({ files: [file], root, out, force: true, onBuilt: () => undefined, look: built => plans.set(built.info.id, printPlan(built.plan)) })
  const { programs } = E.isRight(result) ? result.right : (assert.unreachable(print(result.left)) as never)
  return { plans, counts: Object.fromEntries(programs.map(p => [p.id, p.stats.kernelsAfter])) }
}

test('kernels of representative functions', async () => {
  const { counts, plans } = await counted(path('fixtures/counts.ts'), path('fixtures'))
  assert.equal(counts, {
    'counts/convBackward': 3, // the layer, and the gradients by weight and bias
    'counts/convForward': 1,
    'counts/crossEntropy': 8,
    'counts/lstm': 24, // products of all inputs at once, two starts, two a step, and the copy of the states
    'counts/mlpStep': 7, // two products forward; two by weights, two by biases, one by the hidden layer, with their updates
    'counts/softmaxBackward': 1, // block by block, in one go
    'counts/softmaxRows': 1,
  })
  // Bias and activation are written with the product that they end.
  const [head = '', product = '', ...rest] = (plans.get('counts/convForward') ?? '').split('\n')
  assert.match(head, /^kernel \w+ for n < 4, o < 8, y < 16, x < 16 /)
  assert.match(product, /^ {2}acc = sum over c < 3, k < 3, l < 3 of /)
  assert.match(rest.join('\n'), /^ {2}let u0 = \(acc \+ p\.bias#1\[o\]\)\n {2}\S* ?\S+\[.*\] = select\(\(u0 > 0\), u0, \(u0 \* 0\.01\)\)$/)
})

test('kernels of the tiny training steps', async () => {
  const frames = await counted(path('../../models/vdsm/tiny/frames.ts'), path('../../models'))
  assert.is(frames.counts['vdsm/tiny/frames/trainStep'], 191)
  const video = await counted(path('../../models/vdsm/tiny/video.ts'), path('../../models'))
  assert.is(video.counts['vdsm/tiny/video/trainStep'], 488)
})

test.run()
