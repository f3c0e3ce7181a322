/**
 * Checks the shaders of a build with their tiles in half precision, `node --import tsx halves.ts BUILD`: Dawn's backend that computes nothing offers
 * every feature, and reads WGSL as the others do. Prints how many shaders have tiles, or what is wrong with one.
 */
/// <reference types="@webgpu/types" />
import * as E from 'fp-ts/lib/Either.js'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { print } from '../../../../dsl/errors.ts'
import { parseGpuProgram } from '../../../../runtime/device/webgpu/load.ts'
import { inPrecision } from '../../../../runtime/device/webgpu/pipelines.ts'

const [folder = ''] = process.argv.slice(2)
/** By a name that tsc does not look up: the package may be left out. */
const packageName: string = 'webgpu'
const { create } = await import(packageName) as { readonly create: (options: readonly string[]) => GPU } // as its documentation says

const gpu = create(['backend=null'])
const adapter = await gpu.requestAdapter()
if (adapter === null) throw new Error('Dawn has no backend that only validates')
const device = await adapter.requestDevice({ requiredFeatures: ['shader-f16'] })

/** What is said of a module; null where nothing is wrong with it. */
const wrong = async (code: string): Promise<string | null> => {
  device.pushErrorScope('validation')
  const module = device.createShaderModule({ code })
  device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } })
  return (await device.popErrorScope())?.message ?? null
}

const shaders = readdirSync(folder).filter(name => name.endsWith('.webgpu.json')).flatMap(name => {
  const program = parseGpuProgram(readFileSync(join(folder, name), 'utf8'), name)
  if (E.isLeft(program)) throw new Error(print(program.left))
  return program.right.shaders
})
const changed = shaders.map(shader => inPrecision(shader, 'f16-tiles')).filter((shader, i) => shader !== shaders[i])
for (const { name, code } of changed) {
  const found = await wrong(code)
  if (found !== null) throw new Error(`${name}: ${found}\n${code}`)
  // That it is f16 indeed: the same is refused where f16 is not enabled.
  if (await wrong(code.replace(/^enable f16;$/m, '')) === null) throw new Error(`${name} keeps nothing in half precision\n${code}`)
}
process.stdout.write(`${changed.length} of ${shaders.length}\n`)
device.destroy()
