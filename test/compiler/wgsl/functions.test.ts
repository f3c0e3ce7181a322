/**
 * Every function of values of the nest language as WGSL on a device, one by one for scalars and vectors: what it gives for
 * all combinations of edges against what it means.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { DType } from '../../../dsl/core/prim.ts'
import { builder, type Builder } from '../../../compiler/schedule/nest/builder.ts'
import { type Fn, type Type, type Value, i32, vectorOf } from '../../../compiler/schedule/nest/nest.ts'
import { printDispatch } from '../../../compiler/targets/wgsl/print.ts'
import { missing, runAll } from './device.ts'
import { type Case, cases, rowsOf } from './functions.ts'
import { errorOf, valuesIn, wordsFor } from './values.ts'

const each = 256

/** A dispatch that applies a case to every row of its arguments. */
const prepared = (fn: Fn, one: Case, wide: boolean) => {
  const { args, to } = one
  const found = rowsOf(fn, one)
  const rows = fn === 'splat' ? found.flatMap(r => [r, r, r, r]) : found
  const count = Math.ceil(rows.length / each) * each
  const columns = args.map((type, k) => wordsFor(type, Array.from({ length: count }, (_, i) => rows[i % rows.length]![k]!)))
  const b = builder(`${fn}`)
  const [group, thread] = [b.param('i32', 'group'), b.param('i32', 'thread')]
  const typeOf = (type: DType): Type => (wide ? vectorOf(type) : type)
  const value = one.value ?? ((by: Builder, type: Type, xs: readonly Value[]) => by.call(fn, type, ...xs))
  const at = b.call('add', 'i32', b.call('mul', 'i32', group, i32(wide ? each : each / 4)), wide ? b.call('mul', 'i32', thread, i32(4)) : thread)
  b.store(args.length, at, 0, value(b, typeOf(to), args.map((type, k) => b.load(typeOf(type), k, at))))
  const groups = wide ? count / each : count / (each / 4)
  const { code, bindings } = printDispatch(
    { nest: b.finish(groups), threads: each / 4, shared: [], quads: new Set(wide ? [args.length] : []) }, { name: fn, places: [], notes: [] },
    space => [...args, to][space]!, 0)
  assert.equal(bindings.map(x => x.space), [...args.keys(), args.length])
  return { rows, one, code, groups, buffers: [...columns, new Uint32Array(count)] }
}

const why = missing()
if (why !== null) test.skip(`functions on a device: skipped, no adapter (${why})`, () => {})
else
  test('every function on a device', () => {
    const jobs = (Object.keys(cases) as Fn[]).flatMap(fn => // the keys are those of the table
      cases[fn].flatMap(one => [true, false].filter(wide => one.only === undefined || wide === (one.only === 'vector')).map(wide => prepared(fn, one, wide))))
    const results = runAll(jobs)
    const wrong: string[] = []
    jobs.forEach(({ rows, one, code, buffers }, i) => {
      const got = valuesIn(one.to, results[i]![buffers.length - 1]!)
      const bad = rows.find((row, k) => {
        const exact = one.means(...row)
        return one.to === 'f32' ? !(errorOf(got[k]!, exact, 2 ** -126) <= (one.off ?? 0.5)) : got[k] !== exact
      })
      if (bad !== undefined) wrong.push(`${code.split('\n').at(-3)}\n${bad.join(', ')}: ${got[rows.indexOf(bad)]} for ${one.means(...bad)}`)
    })
    assert.is(wrong.length, 0, wrong.join('\n'))
    assert.ok(jobs.length > 100)
  })

test.run()
