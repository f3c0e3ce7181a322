/**
 * The conformance suite on WebGPU in Node: on a graphics processor where there is one, otherwise on a software adapter, in
 * child processes, since such an adapter may take its process with it. Without any adapter it is skipped, and says so.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { makeSuite, wrong } from './suite.ts'
import type { Answer, Task } from './transport.ts'

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
/** Tasks of one process. */
const together = 80

const out = mkdtempSync(join(tmpdir(), 'vdsm-conformance-webgpu-'))
test.after(() => rmSync(out, { recursive: true, force: true }))

const answersIn = (path: string): readonly Answer[] =>
  (existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(line => line.endsWith('}')).map(line => JSON.parse(line) as Answer) : [])

/** Does tasks in a child; where that ends before its time, the task under way is the one to blame, and the rest goes on in another child. */
const ask = (tasks: readonly Task[], n = 0): readonly Answer[] => {
  if (tasks.length === 0) return []
  const [asked, answered] = [join(out, `tasks-${n}`), join(out, `answers-${n}`)]
  const some = tasks.slice(0, together)
  writeFileSync(asked, some.map(task => JSON.stringify(task)).join('\n'))
  const { status, signal, stderr } = spawnSync(process.execPath, ['--import', 'tsx', script('child.ts'), out, asked, answered], { encoding: 'utf8', timeout: 300_000 })
  const answers = answersIn(answered)
  const stopped = some[answers.length]
  const blamed: readonly Answer[] = stopped === undefined ? []
    : [{ id: stopped.id, problem: `its process ended with ${signal ?? status}: ${stderr.trim().split('\n').slice(-4).join(' ')}` }]
  const done = [...answers, ...blamed]
  return [...done, ...ask(tasks.slice(done.length), n + 1)]
}

const probed = spawnSync(process.execPath, ['--import', 'tsx', script('probe.ts')], { encoding: 'utf8', timeout: 60_000 })
const adapter = (probed.stdout === '' ? { lacking: `asking for an adapter ended with ${probed.signal ?? probed.status}` } : JSON.parse(probed.stdout)) as
  { readonly name?: string; readonly lacking?: string }

if (adapter.name === undefined) {
  process.stdout.write(`SKIPPED: programs are not run on WebGPU in Node: no adapter (${adapter.lacking})\n`)
  test.skip('WebGPU in Node: no adapter')
} else {
  process.stdout.write(`WebGPU in Node: ${adapter.name}\n`)
  const cases = makeSuite(out)
  const answers = new Map(ask(cases.map(({ task }) => task)).map(answer => [answer.id, answer]))
  for (const each of cases) test(each.task.id, () => assert.is(wrong(each, answers.get(each.task.id) ?? { id: each.task.id, problem: 'there is no answer' }, { zeros: false }), null))
}

test.run()
