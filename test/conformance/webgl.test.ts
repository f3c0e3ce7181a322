/** The conformance suite on WebGL2 in headless Chromium, through gpu.js: by SwiftShader, unless there is a graphics processor. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { chromiumPath } from '../browser/support.ts'
import { answersInChromium } from './chromium.ts'
import { makeSuite, wrong } from './suite.ts'

const out = mkdtempSync(join(tmpdir(), 'vdsm-conformance-webgl-'))
test.after(() => rmSync(out, { recursive: true, force: true }))

if (chromiumPath === undefined) {
  process.stdout.write('SKIPPED: programs are not run on WebGL in a browser, for there is no Chromium here (Debian: apt-get install chromium)\n')
  test.skip('WebGL in Chromium: no Chromium')
} else {
  const cases = makeSuite(out)
  const answers = await answersInChromium(out, cases, { device: 'webgl' }, {})
  cases.forEach((each, i) => test(each.task.id, () => assert.is(wrong(each, answers[i] ?? { id: each.task.id, problem: 'there is no answer' }, { zeros: false }), null)))
}

test.run()
