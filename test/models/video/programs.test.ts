/** Stage 2 of VDSM, run eagerly: training, inference, and what is made from latents - by whom, of what length, under which noise. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { withDims } from '../../../dsl/core/apply.ts'
import { at, flip, item, key, program, randomNormal, split, tensor, toArray } from '../../../dsl/index.ts'
import { tiny as config, type Options } from '../../../models/vdsm/config.ts'
import * as stage1 from '../../../models/vdsm/tiny/frames.ts'
import * as tiny from '../../../models/vdsm/tiny/video.ts'
import { dynamicPrior } from '../../../models/vdsm/video/generative.ts'
import { programs } from '../../../models/vdsm/video/programs.ts'
import { affine, drawn, embeddings, priorOfS, staticPosterior, type Gaussian } from '../fixtures/loops.ts'
import { combinedOf, contextsOf, dynamicsOf, priorOfD, transitionOf, type VideoNumbers } from '../fixtures/loops-video.ts'
import {
  aloneNoise, aloneVideos, clip, clip2, frozen, image, learningRate, params, videoAnnealing as annealing, videos as x, videoState,
} from '../fixtures/start.ts'
import { allNear, near, numberwise, plain, rows, scalars } from '../fixtures/trees.ts'

const o: Options = config.options
const { Z, L, H } = config.sizes
const { T } = config.video
const { temperature } = annealing
const { zero, one } = scalars({ zero: 0, one: 1 })
const schedule = { ...annealing, learningRate }
const numbers = plain(params) as VideoNumbers
const vdsm = programs(o)
const start = tiny.init.call(key(2))

test('a training step is reproducible, lowers the loss on its batch, and counts', () => {
  const run = (steps: number) => Array.from({ length: steps }).reduce<{ state: typeof start; losses: number[] }>(({ state, losses }) => {
    const next = tiny.trainStep.call(state, frozen, x, key(7), schedule)
    return { state: next.state, losses: [...losses, item(next.metrics.loss)] }
  }, { state: start, losses: [] })
  const a = run(2)
  assert.equal(a.losses.slice(0, 1), run(1).losses)
  assert.ok(a.losses.slice(1).every((v, i) => v < a.losses[i]!), a.losses.join(' '))
  assert.is(item(a.state.optimizer.count), 2)
})

test('the noise of a training step comes from its key, s, d and z apart', () => {
  const keys = split(key(7), 3)
  const noise = { s: randomNormal(at(keys, 0), [2, 2, 2]), d: randomNormal(at(keys, 1), [2, 2, 2]), z: randomNormal(at(keys, 2), [2, 2, 3, 3]) }
  const [loss] = tiny.loss.call(videoState.params, frozen, x, noise, annealing)
  near(item(tiny.trainStep.call(videoState, frozen, x, key(7), schedule).metrics.loss), item(loss))
})

test('no divergence, and the bound is the log-likelihood, where the guide is the prior', () => {
  const unit = Math.log(Math.expm1(1)) // what softplus takes to 1
  const flat = <I, O>(p: { readonly weight: I; readonly bias: O }, bias: number) => ({ weight: constant(p.weight, 0), bias: constant(p.bias, bias) })
  const standardHead = <W, B, V, C>(p: { readonly loc: { readonly weight: W; readonly bias: B }; readonly scale: { readonly weight: V; readonly bias: C } }) => ({ loc: flat(p.loc, 0), scale: flat(p.scale, unit) })
  const { identity, dynamics, combiner, transition, priorS, priorD } = params
  const same = {
    ...params,
    identity: standardHead(identity),
    dynamics: { ...dynamics, head: standardHead(dynamics.head) },
    combiner: { ...combiner, pose: standardHead(combiner.pose) },
    transition: { ...transition, proposal: { ...transition.proposal, out: flat(transition.proposal.out, 0) }, kept: flat(transition.kept, 0), drift: flat(transition.drift, 0), scale: flat(transition.scale, unit) },
    priorS: { loc: constant(priorS.loc, 0), scale: constant(priorS.scale, unit) },
    priorD: { loc: constant(priorD.loc, 0), scale: constant(priorD.scale, unit) },
  }
  const e = tiny.evaluate.call(same, aloneVideos, aloneNoise, temperature)
  for (const kl of [e.klS, e.klD, e.klZ]) near(item(kl), 0, 'divergence')
  near(item(e.elbo), item(e.logLikelihood), 'bound')
})
const constant = <X>(x: X, value: number): X => numberwise(x, () => value)

/** q(s), q(d) and q(z_t) of a video along the means, in plain loops. */
const encoded = (frames: readonly (readonly number[])[]): { readonly s: Gaussian; readonly d: Gaussian; readonly z: readonly Gaussian[] } => {
  const embedded = frames.map(frame => embeddings(o, numbers.encoder, frame))
  const d = dynamicsOf(numbers.dynamics, embedded.map(({ h }) => affine(numbers.pose.loc, h)), L, H)
  const z = contextsOf(numbers.sequence, d.loc, frames.length, L).reduce<readonly Gaussian[]>((before, context) =>
    [...before, combinedOf(numbers.combiner, context, d.loc, before.at(-1)?.loc ?? numbers.combiner.start)], [])
  return { s: staticPosterior(o, numbers.identity, embedded.map(({ e }) => e)), d, z }
}

test('a video is encoded along the means, and so is one image', () => {
  for (const [q, frames] of [[tiny.encode.call(params, clip), clip], [tiny.encodeImage.call(params, image), image]] as const) {
    const wanted = encoded(rows(toArray(frames), 3 * 64 * 64))
    allNear(toArray(q.s.loc), wanted.s.loc, 's')
    allNear(toArray(q.s.scale), wanted.s.scale, 'scale of s')
    allNear(toArray(q.d.loc), wanted.d.loc, 'd')
    allNear(toArray(q.d.scale), wanted.d.scale, 'scale of d')
    allNear(toArray(q.z.loc), wanted.z.flatMap(q => q.loc), 'z')
    allNear(toArray(q.z.scale), wanted.z.flatMap(q => q.scale), 'scale of z')
  }
})

test('s does not depend on the order of frames; d, and with it every pose, does', () => {
  const [forward, backward] = [tiny.encode.call(params, clip), tiny.encode.call(params, flip(clip, 0))]
  allNear(toArray(backward.s.loc), toArray(forward.s.loc), 's', 1e-12)
  allNear(toArray(backward.s.scale), toArray(forward.s.scale), 's', 1e-12)
  // Far above rounding; the frames themselves differ little in what an untrained encoder sees of them.
  const apart = (a: readonly number[], b: readonly number[]): number => Math.max(...a.map((v, i) => Math.abs(v - b[i]!)))
  assert.ok(apart(toArray(backward.d.loc), toArray(forward.d.loc)) > 1e-4)
  assert.ok(apart(toArray(backward.z.loc), toArray(forward.z.loc)) > 1e-4)
})

test('a transfer is the s of one video and the d and z of another; of a video to itself it is its reconstruction', () => {
  const [a, b, made] = [tiny.encode.call(params, clip), tiny.encode.call(params, clip2), tiny.transfer.call(params, clip, clip2, temperature)]
  assert.equal([made.s, made.d, made.z].map(t => toArray(t as never)), [a.s.loc, b.d.loc, b.z.loc].map(t => toArray(t as never)))
  assert.equal(toArray(made.x), toArray(stage1.decode.call(params, made.s, made.z, temperature)))
  assert.equal(toArray(tiny.transfer.call(params, clip, clip, temperature).x), toArray(tiny.reconstruct.call(params, clip, temperature)))
  assert.not.equal(toArray(made.x), toArray(tiny.reconstruct.call(params, clip2, temperature)))
})

/** The poses after z along the means of the transition, in plain loops. */
const following = (z: readonly number[], d: readonly number[], n: number): number[][] =>
  Array.from({ length: n }).reduce<number[][]>(all => [...all, [...transitionOf(o, numbers.transition, all.at(-1) ?? z, d).loc]], [])

test('what is generated depends on the key alone', () => {
  const [a, b, c] = [8, 8, 9].map(seed => tiny.generate.call(params, key(seed), temperature, one)) as [Made, Made, Made]
  for (const part of ['s', 'd', 'z', 'x'] as const) {
    assert.equal(toArray(a[part] as never), toArray(b[part] as never))
    assert.not.equal(toArray(a[part] as never), toArray(c[part] as never))
  }
  assert.equal(toArray(a.x), toArray(stage1.decode.call(params, a.s, a.z, temperature)))
  assert.ok(toArray(a.x).every(v => v > 0 && v < 1))
})
type Made = ReturnType<typeof tiny.generate.call>

test('what is generated follows the priors: s, d and the noise of every step by its own key', () => {
  const keys = split(key(8), 3)
  const { s, d, z } = tiny.generate.call(params, key(8), temperature, one)
  allNear(toArray(s), drawn(priorOfS(o, numbers.priorS), toArray(randomNormal(at(keys, 0), [2]))), 's')
  allNear(toArray(d), drawn(priorOfD(o, numbers.priorD), toArray(randomNormal(at(keys, 1), [2]))), 'd')
  const eps = rows(toArray(randomNormal(at(keys, 2), [T, Z])), Z)
  const poses = rows(toArray(z), Z)
  const before = (t: number): readonly number[] => poses[t - 1] ?? toArray(params.transition.start)
  for (let t = 0; t < T; t++) allNear(poses[t]!, drawn(transitionOf(o, numbers.transition, before(t), toArray(d)), eps[t]!), `z of frame ${t}`)

  const standard = program(programs({ ...o, firstPose: 'standard' }).generate, { ...config.sizes, T }).call(params, key(8), temperature, zero)
  const [start, ...others] = rows(toArray(standard.z), Z)
  allNear(start!, eps[0]!, 'a first pose of its own')
  allNear(others.flat(), following(start!, toArray(d), T - 1).flat(), 'what follows')
})

test('with spread 0 poses follow the means, whatever the key', () => {
  const { d, z, s } = tiny.generate.call(params, key(8), temperature, zero)
  const [first, ...later] = rows(toArray(z), Z)
  allNear(later.flat(), following(first!, toArray(d), T - 1).flat(), 'generated')
  const after = tiny.continuation.call(params, s, d, tensor([3], later.at(-1)!), key(1), temperature, zero)
  allNear(toArray(after.z), following(later.at(-1)!, toArray(d), T).flat(), 'continued')
  assert.equal(toArray(tiny.continuation.call(params, s, d, tensor([3], later.at(-1)!), key(2), temperature, zero).z), toArray(after.z))
  assert.equal(toArray(after.x), toArray(stage1.decode.call(params, s, after.z, temperature)))
  assert.not.equal(toArray(tiny.continuation.call(params, s, d, tensor([3], later.at(-1)!), key(1), temperature, one).z), toArray(after.z))
})

test('continued from its last pose, a video is what one long roll is', () => {
  const long = program(vdsm.generate, { ...config.sizes, T: 9 }).call(params, key(8), temperature, zero)
  const begun = tiny.generate.call(params, key(8), temperature, zero)
  const last = (z: readonly number[]) => tensor([3], z.slice(-Z))
  const second = tiny.continuation.call(params, begun.s, begun.d, last(toArray(begun.z)), key(1), temperature, zero)
  const third = tiny.continuation.call(params, begun.s, begun.d, last(toArray(second.z)), key(2), temperature, zero)
  assert.equal([begun.z, second.z, third.z].flatMap(z => toArray(z)), toArray(long.z))
  assert.equal([begun.x, second.x, third.x].flatMap(x => toArray(x)), toArray(long.x))
})

test('videos of 1, 8 and 40 frames', () => {
  for (const frames of [1, 8, 40] as const) {
    const { z, x } = withDims({ ...config.sizes, T: frames }, () => vdsm.generate(params as never, key(8) as never, temperature, one))
    assert.is(toArray(z as never).length, frames * Z)
    const pixels = toArray(x as never) as number[]
    assert.is(pixels.length, frames * 3 * 64 * 64)
    assert.ok(pixels.every(v => v > 0 && v < 1))
  }
})

test('the prior of all poses at once is that of one step after the other', () => {
  const z = randomNormal(key(31), [6, 3])
  const d = randomNormal(key(32), [2])
  for (const transitionLinear of ['z', 'zd'] as const) for (const firstPose of ['standard', 'transition'] as const) {
    const choice = { ...o, transitionLinear, firstPose }
    const prior = withDims({ ...config.sizes, T: 6 }, () => dynamicPrior(choice, params.transition as never, z as never, d as never))
    const poses = rows(toArray(z), Z)
    const steps = poses.map((_, t) => t > 0 ? transitionOf(choice, numbers.transition, poses[t - 1]!, toArray(d))
      : firstPose === 'standard' ? { loc: [0, 0, 0], scale: [1, 1, 1] } : transitionOf(choice, numbers.transition, numbers.transition.start, toArray(d)))
    allNear(toArray(prior.loc as never), steps.flatMap(q => q.loc), 'location')
    allNear(toArray(prior.scale as never), steps.flatMap(q => q.scale), 'scale')
  }
})

test.run()
