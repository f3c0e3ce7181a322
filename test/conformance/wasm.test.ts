/** The conformance suite on WebAssembly, both modules of every program. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openBuild } from '../../runtime/build.ts'
import { nodeHost } from '../../runtime/device/node.ts'
import { orThrow } from '../../runtime/train/task.ts'
import { perform } from './perform.ts'
import { makeSuite, wrong } from './suite.ts'

const out = mkdtempSync(join(tmpdir(), 'vdsm-conformance-'))
test.after(() => rmSync(out, { recursive: true, force: true }))

const cases = makeSuite(out)
const build = await orThrow(openBuild(nodeHost(out)))

for (const each of cases)
  test(each.task.id, async () => {
    for (const variant of ['simd', 'fma'] as const) assert.is(wrong(each, await perform(build, { device: 'wasm', variant, threads: 1 }, each.task), { zeros: true }), null, variant)
  })

test.run()
