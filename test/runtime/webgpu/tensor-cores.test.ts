/** Precision tensor-cores: which adapters have it, by name what others lack, and that nothing runs on tensor cores without it. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { print } from '../../../dsl/errors.ts'
import type { About } from '../../../runtime/device/webgpu/adapter.ts'
import { matrixFeature, obstacleToMatrices, onTensorCores, permitted, subgroupsOf, withoutTensorCores } from '../../../runtime/device/webgpu/tensor-cores.ts'
import { choosing } from './support/marked.ts'
import { runScript } from './support/process.ts'

const limits = {
  maxBufferSize: 2 ** 31, maxStorageBufferBindingSize: 2 ** 31, maxStorageBuffersPerShaderStage: 8, maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256, maxComputeWorkgroupSizeX: 256, maxComputeWorkgroupSizeY: 256, maxComputeWorkgroupSizeZ: 64,
  maxComputeWorkgroupsPerDimension: 65535, minStorageBufferOffsetAlignment: 256, maxDynamicUniformBuffersPerPipelineLayout: 8,
}
const about: About = {
  name: 'made-up', vendor: '', architecture: '', device: '', description: '', backend: '', software: false, limits,
  features: ['shader-f16', 'subgroups', matrixFeature], subgroup: [32, 32], products: [{ m: 16, n: 16, k: 16, of: 'f16', to: 'f32' }],
}
const needs = { m: 16, n: 16, k: 16, subgroup: 32, bytes: 20000 }

test('what an adapter says of its subgroups', () => {
  const info = { vendor: '', architecture: '', device: '', description: '', isFallbackAdapter: false, subgroupMinSize: 8, subgroupMaxSize: 32 }
  const configs = [{ componentType: 'f16', resultComponentType: 'f16', M: 16, N: 8, K: 16 }, 7]
  const of = (more: object): ReturnType<typeof subgroupsOf> => subgroupsOf({ ...info, ...more } as unknown as GPUAdapterInfo) // its class has no constructor
  assert.equal(of({ subgroupMatrixConfigs: configs }), { subgroup: [8, 32], products: [{ m: 16, n: 8, k: 16, of: 'f16', to: 'f16' }] })
  assert.equal(of({}), { subgroup: [8, 32], products: [] })
})

test('obstacles by name', () => {
  assert.is(obstacleToMatrices(about), null)
  assert.is(obstacleToMatrices({ ...about, limits: { ...limits, maxComputeWorkgroupStorageSize: 49152 } }, needs), null)
  assert.match(obstacleToMatrices(about, needs)!, /20000 bytes of memory; the adapter allows 16384/)
  assert.match(obstacleToMatrices({ ...about, features: ['shader-f16', 'subgroups'] })!, /needs chromium-experimental-subgroup-matrix/)
  assert.match(obstacleToMatrices({ ...about, products: [{ m: 16, n: 16, k: 16, of: 'f16', to: 'f16' }] })!, /the adapter has 16x16x16 f16 to f16$/)
  assert.match(obstacleToMatrices({ ...about, subgroup: null })!, /unknown/)
  assert.is(withoutTensorCores(about), null)
  assert.is(print(withoutTensorCores({ ...about, features: ['subgroups'] })!),
    'precision tensor-cores: made-up cannot multiply as it takes: it needs shader-f16, which the adapter does not have\n  Use the precision f32.')
})

test('first where they are asked for, never elsewhere', () => {
  const { file } = choosing
  const [kernel] = file.steps
  if (kernel?.kind !== 'kernel') throw new Error('not a kernel')
  assert.equal(permitted(file, kernel.choices, false), [kernel.choices[1]])
  assert.equal(permitted(file, [...kernel.choices].reverse(), true), kernel.choices)
  assert.equal(kernel.choices.map(choice => onTensorCores(file, choice)), [true, false])
})

const load = (): void => {
  const { out, err, code } = runScript('tensor-cores.ts', [])
  assert.is(out, 'as expected\n', `${code}: ${err}`)
}
if (existsSync(resolve('node_modules/webgpu'))) test('loaded on an adapter that says it has tensor cores', load)
else test.skip('loaded on an adapter that says it has tensor cores: skipped, the package webgpu is not installed', load)

test.run()
