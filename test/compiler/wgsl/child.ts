/**
 * Runs shaders on a software adapter (or any there is), in a process of its own: reads jobs from standard input, writes what
 * their buffers hold afterwards to standard output. Exit code 3: there is no adapter, the reason stands on standard error.
 */
/// <reference types="@webgpu/types" />
import { dawn } from '../../../runtime/device/webgpu/dawn.ts'
import type { Job, Outcome } from './device.ts'

const words = (base64: string): Uint32Array<ArrayBuffer> => {
  const bytes = Uint8Array.from(Buffer.from(base64, 'base64'))
  return new Uint32Array(bytes.buffer)
}

const read = async (): Promise<string> => {
  const parts: Buffer[] = []
  for await (const part of process.stdin) parts.push(part as Buffer) // standard input without an encoding gives buffers
  return Buffer.concat(parts).toString('utf8')
}

const storage = 0x80 | 0x08 | 0x04
const uniform = 0x40 | 0x08
const readable = 0x01 | 0x08

const pipelineOf = async (device: GPUDevice, known: Map<string, GPUComputePipeline>, code: string): Promise<GPUComputePipeline> => {
  const made = known.get(code)
  if (made !== undefined) return made
  const module = device.createShaderModule({ code })
  const { messages } = await module.getCompilationInfo()
  const refused = messages.filter(m => m.type === 'error').map(m => `${m.lineNum}:${m.linePos} ${m.message}`)
  if (refused.length > 0) throw new Error(`${refused.join('\n')}\n${code}`)
  const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } })
  known.set(code, pipeline)
  return pipeline
}

const run = async (device: GPUDevice, known: Map<string, GPUComputePipeline>, job: Job): Promise<Outcome> => {
  device.pushErrorScope('validation')
  const buffers = job.buffers.map(data => {
    const given = words(data)
    const buffer = device.createBuffer({ size: Math.max(16, given.byteLength), usage: storage })
    device.queue.writeBuffer(buffer, 0, given)
    return { buffer, bytes: given.byteLength }
  })
  const encoder = device.createCommandEncoder()
  for (const { code, groups, bindings, counters } of job.passes) {
    const pipeline = await pipelineOf(device, known, code)
    const pass = encoder.beginComputePass()
    pass.setPipeline(pipeline)
    const bind = (group: number, list: readonly GPUBuffer[]): void => {
      if (list.length === 0) return
      const entries = list.map((buffer, binding) => ({ binding, resource: { buffer } }))
      pass.setBindGroup(group, device.createBindGroup({ layout: pipeline.getBindGroupLayout(group), entries }))
    }
    bind(0, bindings.map(i => buffers[i]!.buffer))
    bind(1, counters.map(n => {
      const buffer = device.createBuffer({ size: 16, usage: uniform })
      device.queue.writeBuffer(buffer, 0, Int32Array.of(n, 0, 0, 0))
      return buffer
    }))
    pass.dispatchWorkgroups(Math.min(groups, 65535), Math.ceil(groups / 65535))
    pass.end()
  }
  const copies = buffers.map(({ buffer, bytes }) => {
    const copy = device.createBuffer({ size: Math.max(16, bytes), usage: readable })
    encoder.copyBufferToBuffer(buffer, 0, copy, 0, Math.max(16, bytes))
    return { copy, bytes }
  })
  device.queue.submit([encoder.finish()])
  const wrong = await device.popErrorScope()
  if (wrong !== null) return { error: wrong.message, buffers: [] }
  const found: string[] = []
  for (const { copy, bytes } of copies) {
    await copy.mapAsync(1)
    found.push(Buffer.from(copy.getMappedRange().slice(0, bytes)).toString('base64'))
    copy.destroy()
  }
  buffers.forEach(b => b.buffer.destroy())
  return { error: null, buffers: found }
}

const main = async (): Promise<number> => {
  const started = await dawn.start(true)()
  if (started._tag === 'Left') {
    process.stderr.write(`${JSON.stringify(started.left)}\n`)
    return 3
  }
  const { gpu, lacking } = started.right
  const adapter = await gpu.requestAdapter()
  if (adapter === null) {
    process.stderr.write(`${lacking().message}\n`)
    return 3
  }
  const device = await adapter.requestDevice({
    requiredLimits: { maxStorageBuffersPerShaderStage: 8 },
    requiredFeatures: (['subgroups'] as const).filter(feature => adapter.features.has(feature)),
  })
  const outcomes: Outcome[] = []
  const known = new Map<string, GPUComputePipeline>()
  for (const job of JSON.parse(await read()) as readonly Job[]) // the parent wrote jobs
    outcomes.push(await run(device, known, job).catch((error: unknown) => ({ error: String(error), buffers: [] })))
  await new Promise(done => process.stdout.write(JSON.stringify({ device: adapter.info.description, outcomes }), done))
  device.destroy()
  return 0
}

process.exit(await main())
