/** Where commands run: what auto takes, what is handed on to the device, and options that mean nothing. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Refusal } from '../../dsl/errors.ts'
import { chooseDevice, type DeviceOptions } from '../../runtime/commands/device.ts'
import { nodeHost } from '../../runtime/device/node.ts'

const host = nodeHost('build')
const ready = { webgpu: { file: 'x', checksum: 1 } }
const choose = (o: DeviceOptions, gpu: string | undefined, ...more: readonly object[]) =>
  chooseDevice(o, host, [ready, ...more], 'auto', async () => gpu)

test('auto takes a GPU where there is one and the programs are made for it, and says why', async () => {
  assert.equal(await choose({}, 'H100'), { why: 'H100', options: { device: 'webgpu' } })
  assert.equal(await choose({ threads: 3 }, undefined), { why: 'no GPU is here: vdsm devices says why', options: { device: 'wasm', threads: 3 } })
  assert.equal(await choose({}, 'H100', {}), { why: 'the programs were compiled without WebGPU', options: { device: 'wasm' } })
})

test('a device that is named is taken unseen; a default may be another than auto', async () => {
  const unseen = async (): Promise<string | undefined> => assert.unreachable('nothing has to be looked for') as never
  for (const device of ['webgpu', 'wasm', 'eager'] as const) {
    assert.equal(await chooseDevice({ device }, host, [ready], 'auto', unseen), { why: undefined, options: { device } })
    assert.equal(await chooseDevice({}, host, [ready], device, unseen), { why: undefined, options: { device } })
  }
})

test('what only a GPU understands reaches no other device', async () => {
  const all = { precision: 'f16-tiles', tune: false } as const
  assert.equal((await choose({ ...all, device: 'webgpu', allowSoftware: true }, undefined)).options,
    { device: 'webgpu', allowSoftware: true, precision: 'f16-tiles', tune: false })
  assert.equal((await choose({ ...all }, undefined)).options, { device: 'wasm' })
  const refusal = (o: DeviceOptions): Promise<string> =>
    choose(o, 'H100').then(() => 'nothing was refused', (error: unknown) => (error instanceof Refusal ? error.message : Promise.reject(error)))
  assert.match(await refusal({ allowSoftware: true }), /^--allow-software means nothing with --device auto\n {2}Add --device webgpu/)
  assert.match(await refusal({ device: 'wasm', precision: 'f16-tiles' }), /^--precision f16-tiles means nothing with --device wasm/)
  assert.match(await refusal({ device: 'eager', precision: 'tensor-cores' }), /^--precision tensor-cores means nothing with --device eager/)
})

test.run()
