/**
 * Programs on WebGPU that use a training step's parameters without a copy, `node --import tsx share.ts BUILD TRAIN USER...`: their results
 * are those of copied parameters, to the bit, after every step. Prints `same` where they are.
 */
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { Refusal, type Failure } from '../../../../dsl/errors.ts'
import { openBuild } from '../../../../runtime/build.ts'
import { nodeHost } from '../../../../runtime/device/node.ts'
import { parseGpuProgram } from '../../../../runtime/device/webgpu/load.ts'
import { copyArrays, type Executable } from '../../../../runtime/executor.ts'

const [folder = '', train = '', ...users] = process.argv.slice(2)

const orThrow = async <A>(task: TE.TaskEither<Failure, A>): Promise<A> => {
  const result = await task()
  if (E.isLeft(result)) throw new Refusal(result.left)
  return result.right
}

const build = await orThrow(openBuild(nodeHost(folder)))
const load = (id: string): Promise<Executable> => orThrow(build.loadOn(id, { device: 'webgpu', allowSoftware: true }))

let seed = 7
const next = (): number => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32
/** Small seeded numbers for inputs of these beginnings: second moments of an optimiser are never negative. */
const fill = (programs: readonly Executable[], wanted: (path: string) => boolean): void => {
  for (const { path, shape, dtype } of programs[0]?.program.inputs.filter(slot => wanted(slot.path)) ?? []) {
    const rate = path.startsWith('schedule') || path === 'temperature'
    const one = (): number => (rate ? 0.01 : dtype === 'f32' ? next() / 5 - (path.includes('params') ? 0.1 : 0) : 1)
    const data = Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, one)
    programs.forEach(program => program.set(path, data))
  }
}

const trainer = await load(train)
const { inputs, webgpu } = trainer.program
const parsed = parseGpuProgram(readFileSync(join(folder, webgpu?.file ?? ''), 'utf8'), train)
const offsets = E.isRight(parsed) ? inputs.flatMap(({ path }, i) => (path.startsWith('state.params') ? [parsed.right.inputs[i]?.offset ?? 0] : [])) : []
assert.ok(offsets.filter(offset => offset > 0).length > 2, `the parameters lie side by side: ${offsets.join()}`)

const paramsOf = ({ program }: Executable): readonly (readonly [string, string])[] =>
  program.inputs.flatMap(({ path }) => (path.startsWith('params') ? [[`state.${path}`, path] as const] : []))
const pairs = await Promise.all(users.map(async id => ({ id, shared: await load(id), copied: await load(id) })))
fill([trainer], () => true)
for (const { shared, copied } of pairs) {
  fill([shared, copied], path => !path.startsWith('params'))
  const before = shared.memoryBytes
  assert.is(shared.share(trainer, paramsOf(shared)), true)
  assert.ok(shared.memoryBytes < before)
}

const last = new Map<string, unknown>()
for (let round = 0; round < 3; round++) {
  // Nothing is waited for in between: the queue alone keeps the order.
  for (let i = 0; i < 2; i++) {
    trainer.run()
    pairs.forEach(({ shared }) => shared.run())
  }
  for (const { id, shared, copied } of pairs) {
    const outputs = shared.program.outputs.map(({ path }) => path)
    await copyArrays(trainer, paramsOf(copied), copied, 'inputs')
    copied.run()
    const [now, expected] = [await shared.read(outputs), await copied.read(outputs)]
    assert.equal(now, expected, id)
    assert.not.equal(now, last.get(id), `${id}: the parameters change from step to step`)
    assert.ok(now.every(values => values.every(Number.isFinite)), id)
    last.set(id, now)
  }
}
await trainer.done()
pairs.forEach(({ shared, copied }) => [shared, copied].forEach(program => program.dispose()))
trainer.dispose()
process.stdout.write('same\n')
