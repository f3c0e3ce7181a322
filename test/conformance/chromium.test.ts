/** The conformance suite on WebGPU in headless Chromium, where its adapter is SwiftShader unless there is a graphics processor. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { chromiumPath } from '../browser/support.ts'
import { answersInChromium } from './chromium.ts'
import { makeSuite, wrong } from './suite.ts'

const out = mkdtempSync(join(tmpdir(), 'vdsm-conformance-chromium-'))
test.after(() => rmSync(out, { recursive: true, force: true }))

if (chromiumPath === undefined) {
  process.stdout.write('SKIPPED: programs are not run on WebGPU in a browser, for there is no Chromium here (Debian: apt-get install chromium)\n')
  test.skip('WebGPU in Chromium: no Chromium')
} else {
  const cases = makeSuite(out)
  const answers = await answersInChromium(out, cases, { device: 'webgpu', allowSoftware: true, tune: false }, { webgpu: true })
  cases.forEach((each, i) => test(each.task.id, () => assert.is(wrong(each, answers[i] ?? { id: each.task.id, problem: 'there is no answer' }, { zeros: false }), null)))
}

test.run()
