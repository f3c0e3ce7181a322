/**
 * Reads WGSL as Dawn does, `node --import tsx validate.ts`: on the backend that computes nothing, with experiments. Modules come as JSON on standard
 * input; what is said of each (errors, warnings; of its pipeline, where that is asked for) goes to standard output, an empty text where nothing is.
 * Exit code 3: the package that brings Dawn is not there.
 */
/// <reference types="@webgpu/types" />

export type Module = { readonly code: string; readonly pipeline: boolean }

/** By a name that tsc does not look up: the package may be left out. */
const packageName: string = 'webgpu'

const read = async (): Promise<string> => {
  const parts: Buffer[] = []
  for await (const part of process.stdin) parts.push(part as Buffer) // standard input without an encoding gives buffers
  return Buffer.concat(parts).toString('utf8')
}

const main = async (): Promise<number> => {
  const dawn = await import(packageName).catch(() => null) as { readonly create: (options: readonly string[]) => GPU } | null // as its documentation says
  if (dawn === null) return 3
  const gpu = dawn.create(['backend=null', 'enable-dawn-features=allow_unsafe_apis'])
  const adapter = await gpu.requestAdapter()
  if (adapter === null) return 3
  const requiredFeatures = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'] as readonly string[] as GPUFeatureName[]
  const device = await adapter.requestDevice({ requiredFeatures })
  const said: string[] = []
  for (const { code, pipeline } of JSON.parse(await read()) as readonly Module[]) { // the parent writes this
    device.pushErrorScope('validation')
    const module = device.createShaderModule({ code })
    const { messages } = await module.getCompilationInfo()
    if (pipeline) device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } })
    const wrong = await device.popErrorScope()
    said.push([...messages.map(m => `${m.type} ${m.lineNum}: ${m.message}`), ...(wrong === null ? [] : [wrong.message])].join('\n'))
  }
  await new Promise(done => process.stdout.write(JSON.stringify(said), done))
  device.destroy()
  return 0
}

process.exit(await main())
