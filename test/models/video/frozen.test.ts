/** What stage 2 does not train has no gradient: none is an output, and no instruction computes one on the way. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Func } from '../../../compiler/ir/ir.ts'
import { optimise } from '../../../compiler/transform/passes.ts'
import { lowered } from '../fixtures/lowered.ts'
import { frozen, videoState } from '../fixtures/start.ts'
import { named } from '../fixtures/trees.ts'

const program = (name: string) => lowered.get(`test/models/fixtures/frozen/${name}`) ?? (assert.unreachable(name) as never)

/** The sizes of a tensor in any order, without those that say nothing. */
const kind = (shape: readonly number[]): string => shape.filter(n => n !== 1).toSorted((a, b) => a - b).join(' ')
/** Of all tensors that are computed, in loops as well; a parameter in another shape is not. */
const computed = (func: Func): ReadonlySet<string> => new Set(func.insts.flatMap(i => (i.kind === 'op' ? (i.prim === 'reshape' ? [] : [kind(i.aval.shape)]) : [...i.avals.map(a => kind(a.shape)), ...computed(i.body)])))

const [frames, video, step] = [program('frames'), program('video'), program('step')]
const shapes = new Map(video.func.params.map(p => [p.path, kind(p.aval.shape)]))
const trained = named(videoState.params).map(([path]) => path)
const left = named(frozen).map(([path]) => path)

test('the outputs are the trained parameters, and theirs alone', () => {
  const under = (prefix: string, outputs: readonly string[]) => outputs.filter(path => path.startsWith(prefix)).map(path => path.slice(prefix.length)).toSorted()
  assert.equal(under('grad.', video.outputs), trained.toSorted())
  assert.equal(under('state.params.', step.outputs), trained.toSorted())
  for (const moment of ['m', 'v']) assert.equal(under(`state.optimizer.${moment}.`, step.outputs), trained.toSorted())
})

test('nothing of the shape of a frozen parameter is computed, but where it is trained', () => {
  const own = new Set(trained.map(path => shapes.get(`params.${path}`)!))
  const told = left.filter(path => !own.has(shapes.get(`frozen.${path}`)!))
  assert.ok(told.length >= 20, told.join(' ')) // the biases of the pose head are as long as poses, and so are trained ones
  const [inFrames, inVideo, inStep] = [frames, video, step].map(p => computed(optimise(p.func)))
  for (const path of told) {
    const shape = shapes.get(`frozen.${path}`)!
    assert.ok(inFrames!.has(shape), `stage 1 has a gradient by ${path}`)
    assert.not(inVideo!.has(shape), `a gradient by ${path}`)
    assert.not(inStep!.has(shape), `a gradient by ${path} in the training step`)
  }
})

test.run()
