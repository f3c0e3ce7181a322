/** Nests made at random as kernels of gpu.js in its mode for processors and by the interpreter of gathers: both have to agree to the bit. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { GatherPlan } from '../../../compiler/schedule/gather/gather.ts'
import { fill, templateOf } from '../../../compiler/targets/webgl/print.ts'
import { readArray, writeArray } from '../../../runtime/device/webgl/words.ts'
import { runGathers } from '../schedule/gather/run.ts'
import { buffers, extent, nestOf, numbers, words } from './random.ts'
import { openEngine } from './run.ts'

const engine = await openEngine()
for (const part of [0, 1, 2, 3, 4, 5, 6, 16])
  test(`nests ${part}`, async () => {
    for (let seed = 60 * part; seed < 60 * (part + 1); seed += 1) {
      const nest = nestOf(seed)
      const about = { name: 'nest', origins: [] }
      const plan: GatherPlan = { buffers, steps: [{ kind: 'kernel', ...about, flops: 0, bytes: 0, gathers: [{ ...about, made: nest, buffer: 2 }] }] }
      const want = runGathers(plan, new Map<number, Int32Array | Float32Array>([[0, words.slice()], [1, numbers.slice()]])).get(2)!
      const template = templateOf(nest, space => buffers[space]!.aval.dtype, 'i32')
      const code = fill(template, { name: '', places: [], names: space => buffers[space]!.name })
      const texels = [2 * extent, extent]
      const given = [engine.upload(2 * extent, n => writeArray('i32', words, n)), engine.upload(extent, n => writeArray('f32', numbers, n))]
      const kernel = { name: '', places: [], code, inputs: template.inputs.map(s => texels[s]!), counters: 0, texels: 2 * extent, functions: [] }
      const got = readArray('i32', (await engine.read([engine.prepare(kernel, new Map())(template.inputs.map(s => given[s]!), [])]))[0]!)
      assert.equal([...got], [...want], `nest ${seed}\n${code}`)
    }
  })

test.run()
