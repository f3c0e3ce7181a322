/** Prints the name of the WebGPU adapter that Node would take here, or why there is none: `{ "name": ... }` or `{ "lacking": ... }`. */
import * as E from 'fp-ts/lib/Either.js'
import { print } from '../../dsl/errors.ts'
import { dawn } from '../../runtime/device/webgpu/dawn.ts'
import { findAdapter } from '../../runtime/device/webgpu/adapter.ts'

const found = await findAdapter(dawn, true)()
process.stdout.write(JSON.stringify(E.isRight(found) ? { name: found.right.about.name } : { lacking: print(found.left).split('\n')[0] }), () => process.exit(0))
