/** Every function of values of the nest language as a kernel of gpu.js, in its mode for processors: what it gives for all combinations of edges. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { builder } from '../../../compiler/schedule/nest/builder.ts'
import type { Fn } from '../../../compiler/schedule/nest/nest.ts'
import { fill, templateOf } from '../../../compiler/targets/webgl/print.ts'
import { readArray, writeArray } from '../../../runtime/device/webgl/words.ts'
import { texelsOf } from '../../../runtime/gl-program.ts'
import { type Case, cases, rowsOf } from '../wgsl/functions.ts'
import { errorOf } from '../wgsl/values.ts'
import { openEngine } from './run.ts'

const engine = await openEngine()

const texels = (dtype: Case['to'], elements: number): number => texelsOf({ name: '', dtype, elements })

const kernelOf = (fn: Fn, one: Case, extent: number): { readonly code: string; readonly inputs: readonly number[] } => {
  const { args, to } = one
  const b = builder(fn)
  const i = b.param('i32', 'i')
  const loads = args.map((type, k) => b.load(type, k, i))
  b.store(args.length, i, 0, one.value?.(b, to, loads) ?? b.call(fn, to, ...loads))
  const template = templateOf(b.finish(extent), space => [...args, to][space]!, to)
  return { code: fill(template, { name: '', places: [], names: space => `x${space}` }), inputs: template.inputs }
}

test('every function', async () => {
  const wrong: string[] = []
  let count = 0
  for (const fn of Object.keys(cases) as Fn[]) // the keys are those of the table
    for (const one of cases[fn].filter(c => c.only !== 'vector')) {
      count += 1
      const rows = rowsOf(fn, one)
      const { code, inputs } = kernelOf(fn, one, rows.length)
      const columns = one.args.map((dtype, k) => engine.upload(texels(dtype, rows.length), numbers => writeArray(dtype, rows.map(r => r[k]!), numbers)))
      const kernel = {
        name: fn, places: [], code, inputs: inputs.map(k => texels(one.args[k]!, rows.length)), counters: 0, texels: texels(one.to, rows.length), functions: [],
      }
      const made = engine.prepare(kernel, new Map())(inputs.map(k => columns[k]!), [])
      const got = readArray(one.to, (await engine.read([made]))[0]!)
      const bad = rows.findIndex((row, k) => {
        const exact = one.means(...row)
        return one.to === 'f32' ? !(errorOf(got[k]!, exact, 0) <= 0.5) : got[k] !== exact
      })
      if (bad >= 0) wrong.push(`${code}\n${rows[bad]!.join(', ')}: ${got[bad]} for ${one.means(...rows[bad]!)}`)
    }
  assert.is(wrong.length, 0, wrong.join('\n'))
  assert.ok(count > 70)
})

test.run()
