/** Compiled programs on WebGPU against the eager device: `node --import tsx compiled.ts BUILD`. Prints `same` where they agree. */
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import * as assert from 'uvu/assert'
import { print, Refusal, type Failure } from '../../../../dsl/errors.ts'
import { openBuild, type LoadOptions } from '../../../../runtime/build.ts'
import { nodeHost } from '../../../../runtime/device/node.ts'
import type { Executable } from '../../../../runtime/executor.ts'
import { parseManifest, printManifest } from '../../../../runtime/manifest.ts'

const [folder = ''] = process.argv.slice(2)

const orThrow = async <A>(task: TE.TaskEither<Failure, A>): Promise<A> => {
  const result = await task()
  if (E.isLeft(result)) throw new Refusal(result.left)
  return result.right
}

const build = await orThrow(openBuild(nodeHost(folder)))
const devices: readonly LoadOptions[] = [{ device: 'eager' }, { device: 'webgpu', allowSoftware: true }]
const onBoth = (name: string): Promise<readonly Executable[]> => Promise.all(devices.map(options => orThrow(build.loadOn(`threads-model/${name}`, options))))

/** Seeded numbers in [-0.25, 0.25), whole ones for keys, and an optimiser's state under which small gradients make small steps. */
const fill = (programs: readonly Executable[]): void => {
  let seed = 5
  const next = (): number => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32
  for (const { path, shape, dtype } of programs[0]?.program.inputs ?? []) {
    const one = (): number => (path.startsWith('state.optimizer') ? 1 : dtype === 'f32' ? next() / 2 - 0.25 : Math.floor(next() * 1000))
    const data = Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, one)
    programs.forEach(program => program.set(path, data))
  }
}

/** Relative to the largest element: the eager device computes in float64, sums here are of at most 40,000 float32. */
const tolerance = 2e-5

const compare = async (programs: readonly Executable[]): Promise<void> => {
  const [exact, rounded] = await Promise.all(programs.map(one => one.read(one.program.outputs.map(({ path }) => path))))
  exact?.forEach((values, i) => {
    const list = [...values]
    const largest = Math.max(1e-6, ...list.map(Math.abs))
    const worst = Math.max(0, ...list.map((value, at) => Math.abs(value - (rounded?.[i]?.[at] ?? NaN))))
    const { id, outputs } = programs[0]?.program ?? { id: '', outputs: [] }
    assert.ok(worst <= tolerance * largest, `${id}: ${outputs[i]?.path}: off by ${worst} of ${largest}`)
  })
}

for (const name of ['chain', 'recurrence', 'step']) {
  const programs = await onBoth(name)
  fill(programs)
  for (let round = 0; round < 3; round++) {
    programs.forEach(program => program.run())
    await compare(programs)
    if (name === 'step') programs.forEach(program => program.feed('state', 'state'))
  }
  programs.forEach(program => program.dispose())
}

const host = nodeHost(folder)

/** What is said where a file of the build, by the end of its name, is another one. */
const refusal = async (end: string, change: (bytes: Uint8Array) => Uint8Array): Promise<string> => {
  const changed = TE.map((bytes: Uint8Array) => change(bytes))
  const other = await orThrow(openBuild({ ...host, read: name => (name.endsWith(end) ? changed(host.read(name)) : host.read(name)) }))
  const result = await other.loadOn('threads-model/chain', { device: 'webgpu', allowSoftware: true })()
  return E.isLeft(result) ? print(result.left) : 'nothing was refused'
}
assert.match(await refusal('.webgpu.json', bytes => bytes.slice(1)), /chain.*\.webgpu\.json: it is damaged, or belongs to another compile/)
const without = (bytes: Uint8Array): Uint8Array => {
  const manifest = parseManifest(new TextDecoder().decode(bytes), 'manifest')
  if (E.isLeft(manifest)) throw new Refusal(manifest.left)
  return new TextEncoder().encode(printManifest({ ...manifest.right, programs: manifest.right.programs.map(({ webgpu: _, ...program }) => program) }))
}
assert.match(await refusal('manifest.json', without), /WebGPU: threads-model\/chain has not been compiled for it/)
process.stdout.write('same\n')
