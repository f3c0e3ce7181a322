/** Which devices the studio's page tries, in which order, and what it says of each. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { decide, DEVICES, standing, type Decision, type Found, type Here } from '../../../runtime/studio/devices.ts'
import type { DeviceChoice } from '../../../runtime/studio/messages.ts'

const real: Found = { name: 'Fast 1', software: false }
const soft: Found = { name: 'SwiftShader', software: true }
const none: Found = { obstacle: 'this browser does not have it' }
const here = (webgpu: Found, webgl: Found): Here => ({ webgpu, webgl })

const decided = (choice: DeviceChoice, found: Here): Decision => {
  const decision = decide(choice, found)
  if ('refused' in decision) throw new Error(decision.refused)
  return decision
}
const chainOf = (choice: DeviceChoice, found: Here): string =>
  decided(choice, found).chain.map(({ device, software }) => (software ? `${device}*` : device)).join(' ')
const linesOf = (choice: DeviceChoice, found: Here, at = 0): readonly string[] =>
  standing(decided(choice, found), at, 'it').map(({ device, role, text }) => `${device} ${role}: ${text}`)

test('auto takes hardware: WebGPU, else WebGL, else WebAssembly, and keeps those after it', () => {
  assert.is(chainOf('auto', here(real, real)), 'webgpu webgl wasm')
  assert.is(chainOf('auto', here(real, soft)), 'webgpu wasm')
  assert.is(chainOf('auto', here(none, real)), 'webgl wasm')
  assert.is(chainOf('auto', here(soft, real)), 'webgl wasm')
  assert.is(chainOf('auto', here(soft, soft)), 'wasm')
  assert.is(chainOf('auto', here(none, none)), 'wasm')
})

test('what was chosen comes first, in software too; hardware after it follows', () => {
  assert.is(chainOf('webgpu', here(soft, real)), 'webgpu* webgl wasm')
  assert.is(chainOf('webgpu', here(real, soft)), 'webgpu wasm')
  assert.is(chainOf('webgl', here(real, soft)), 'webgl* wasm')
  assert.is(chainOf('webgl', here(none, real)), 'webgl wasm')
  assert.is(chainOf('wasm', here(real, real)), 'wasm')
})

test('what was chosen and is not here is refused, with the reason', () => {
  assert.equal(decide('webgpu', here(none, real)), { refused: 'WebGPU cannot be used: this browser does not have it. Choose another device.' })
  assert.equal(decide('webgl', here(real, none)), { refused: 'WebGL cannot be used: this browser does not have it. Choose another device.' })
})

test('a line for each device: which is used, why not those before it, what follows', () => {
  assert.equal(linesOf('auto', here(none, soft)), [
    'webgpu passed: this browser does not have it', 'webgl passed: it computes in software here, slower than WebAssembly: SwiftShader', 'wasm used: it',
  ])
  assert.equal(linesOf('auto', here(real, real)), ['webgpu used: it', 'webgl next: takes over if that fails', 'wasm next: takes over if that fails'])
  const [webgpu, webgl, wasm] = linesOf('webgl', here(real, soft))
  assert.equal([webgpu, wasm], ['webgpu idle: not chosen', 'wasm next: takes over if that fails'])
  assert.match(webgl ?? '', /^webgl used: it\. .*software/)
  assert.equal(linesOf('wasm', here(real, real)), ['webgpu idle: not chosen', 'webgl idle: not chosen', 'wasm used: it'])
})

test('one that was found and failed is said to have failed', () => {
  const { chain, passed } = decided('auto', here(real, real))
  const lines = standing({ chain, passed: [...passed, { device: 'webgpu', why: 'it did not load: lost' }] }, 1, 'it')
  assert.equal(lines.map(({ role, text }) => `${role}: ${text}`), ['passed: it did not load: lost', 'used: it', 'next: takes over if that fails'])
})

test('each combination of what is here ends in a device, and mentions each once', () => {
  const founds = [real, soft, none]
  for (const webgpu of founds) for (const webgl of founds) for (const choice of ['auto', ...DEVICES] as const) {
    const decision = decide(choice, here(webgpu, webgl))
    if ('refused' in decision) continue
    assert.is(decision.chain.at(-1)?.device, 'wasm')
    const devices = [...decision.chain, ...decision.passed].map(({ device }) => device)
    assert.is(new Set(devices).size, devices.length)
    assert.ok(decision.chain.every(({ software }, i) => !software || (i === 0 && choice !== 'auto')), 'software is never taken of its own accord')
  }
})

test.run()
