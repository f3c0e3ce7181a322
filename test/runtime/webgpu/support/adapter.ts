/** Ends with code 0 where WebGPU has an adapter here, software or not; otherwise it says why not. `--hardware`: none that is software. */
import * as E from 'fp-ts/lib/Either.js'
import { print } from '../../../../dsl/errors.ts'
import { dawn } from '../../../../runtime/device/webgpu/dawn.ts'
import { findAdapter } from '../../../../runtime/device/webgpu/adapter.ts'

const found = await findAdapter(dawn, !process.argv.includes('--hardware'))()
if (E.isLeft(found)) {
  process.stdout.write(`${print(found.left)}\n`)
  process.exitCode = 1
} else process.stdout.write(`${found.right.about.name}\n`)
