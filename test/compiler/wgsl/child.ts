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

const run = async (device: GPUDevice, job: Job): Promise<Outcome> => {
  device.pushErrorScope('validation')
  const module = device.createShaderModule({ code: job.code })
  const { messages } = await module.getCompilationInfo()
  const refused = messages.filter(m => m.type === 'error').map(m => `${m.lineNum}:${m.linePos} ${m.message}`)
  if (refused.length > 0) {
    await device.popErrorScope()
    return { error: refused.join('\n'), buffers: [] }
  }
  const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } })
  const buffers = job.buffers.map(data => {
    const given = words(data)
    const buffer = device.createBuffer({ size: Math.max(16, given.byteLength), usage: storage })
    device.queue.writeBuffer(buffer, 0, given)
    return { buffer, bytes: given.byteLength }
  })
  const counters = job.counters.map(n => {
    const buffer = device.createBuffer({ size: 16, usage: uniform })
    device.queue.writeBuffer(buffer, 0, Int32Array.of(n, 0, 0, 0))
    return buffer
  })
  const encoder = device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  pass.setPipeline(pipeline)
  const bind = (group: number, list: readonly GPUBuffer[]): void => {
    if (list.length === 0) return
    pass.setBindGroup(group, device.createBindGroup({ layout: pipeline.getBindGroupLayout(group), entries: list.map((buffer, binding) => ({ binding, resource: { buffer } })) }))
  }
  bind(0, buffers.map(b => b.buffer))
  bind(1, counters)
  pass.dispatchWorkgroups(Math.min(job.groups, 65535), Math.ceil(job.groups / 65535))
  pass.end()
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
  const device = await adapter.requestDevice({ requiredLimits: { maxStorageBuffersPerShaderStage: 8 } })
  const outcomes: Outcome[] = []
  for (const job of JSON.parse(await read()) as readonly Job[]) outcomes.push(await run(device, job)) // the parent wrote jobs
  await new Promise(done => process.stdout.write(JSON.stringify({ device: adapter.info.description, outcomes }), done))
  device.destroy()
  return 0
}

process.exit(await main())
