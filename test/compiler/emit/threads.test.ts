/** Programs made on worker threads are those made on one: the same bytes, in the same order; and so are refusals. */
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Made, type Task } from '../../../compiler/emit/make.ts'
import { makeAll, workersFor } from '../../../compiler/emit/threads.ts'
import { lowerFiles } from '../../../compiler/frontend/lower.ts'
import { print, Refusal } from '../../../dsl/errors.ts'

const path = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))
const lowered = lowerFiles([path('counts.ts')], path(''))
const programs = E.isRight(lowered) ? lowered.right : (assert.unreachable(print(lowered.left)) as never)
const tasks: readonly Task[] = programs.map(program => ({ program, compiler: 'this one', there: undefined }))
const shown = (made: Made) => (made === null ? null : { info: made.info, kernels: made.plan.steps.length, modules: Object.values(made.modules).map(bytes => Buffer.from(bytes).toString('base64')) })

test('two threads make what one makes, and hand it on in order', async () => {
  const seen: number[] = []
  const made = await makeAll(tasks, (one, i) => (seen.push(i), one), 2)
  assert.equal(seen, tasks.map((_, i) => i))
  assert.equal(made.map(shown), (await makeAll(tasks, one => one, 0)).map(shown))
  // and leave alone what is there
  const there = tasks.map((task, i) => (i % 2 === 0 ? task : { ...task, there: made[i]?.info.hash }))
  assert.equal((await makeAll(there, one => one?.info.id ?? null, 2)), tasks.map((task, i) => (i % 2 === 0 ? task.program.name : null)))
})

test('a refusal on a thread is one here, and what comes of an answer may be one', async () => {
  const broken: readonly Task[] = tasks.map((task, i) => (i < 2 ? task : { ...task, program: { ...task.program, func: { ...task.program.func, results: [-1] } } }))
  for (const workers of [0, 2]) {
    const seen: number[] = []
    const problem = await makeAll(broken, (_, i) => seen.push(i), workers).then(() => undefined, (error: unknown) => error)
    assert.ok(problem instanceof Refusal, String(problem))
    assert.equal(seen, [0, 1])
  }
  const refused = await makeAll(tasks, (_, i) => (i === 1 ? assert.unreachable('enough') : i), 2).then(() => undefined, (error: unknown) => error)
  assert.ok(refused instanceof assert.Assertion)
})

test('few or small programs are made here', () => {
  assert.is(workersFor(tasks, 64), 0)
  const many = Array.from({ length: 1000 }, () => tasks).flat()
  assert.is(workersFor(many, 2), 2)
  assert.is(workersFor(many, 1), 0)
})

test.run()
