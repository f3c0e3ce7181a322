/** Indices from data that lie anywhere, with and without Dawn's own checks: `node --import tsx choose.ts BUILD`. Prints `same` where all is as it should be. */
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import * as assert from 'uvu/assert'
import { Refusal, type Failure } from '../../../../dsl/errors.ts'
import { openBuild, type Device } from '../../../../runtime/build.ts'
import { nodeHost } from '../../../../runtime/device/node.ts'
import { dawn, dawnWith } from '../../../../runtime/device/webgpu/dawn.ts'

const [folder = ''] = process.argv.slice(2)

const orThrow = async <A>(task: TE.TaskEither<Failure, A>): Promise<A> => {
  const result = await task()
  if (E.isLeft(result)) throw new Refusal(result.left)
  return result.right
}

const chosen = async (device: Device, gpu = dawn) => {
  const build = await orThrow(openBuild({ ...nodeHost(folder), gpu }))
  const program = await orThrow(build.loadOn('share-model/choose', { device, allowSoftware: true }))
  program.setAll({ table: Array.from({ length: 15 }, (_, i) => i + 1), indices: [0, 4, 5, -1, 2 ** 31 - 1, -(2 ** 31), 10 ** 6, 2] })
  program.run()
  const [rows] = await program.read([''])
  program.dispose()
  return rows
}

const rows = [0, 4, 4, 0, 4, 0, 4, 2].flatMap(row => [3 * row + 1, 3 * row + 2, 3 * row + 3])
assert.equal(await chosen('eager'), Float32Array.from(rows))
assert.equal(await chosen('webgpu'), Float32Array.from(rows))
assert.equal(await chosen('webgpu', dawnWith({ robust: true })), Float32Array.from(rows))
process.stdout.write('same\n')
