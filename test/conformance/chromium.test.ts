/** The conformance suite on WebGPU in headless Chromium, where its adapter is SwiftShader unless there is a graphics processor. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ask, chromiumPath, launch, openPage, packPage, servePage } from '../browser/support.ts'
import { makeSuite, wrong, type Case } from './suite.ts'
import type { Answer } from './transport.ts'

const out = mkdtempSync(join(tmpdir(), 'vdsm-conformance-chromium-'))
test.after(() => rmSync(out, { recursive: true, force: true }))

/** Tasks of one page: a new one starts with a new device. */
const together = 80

/** All answers, in the order of the cases. A page that breaks takes its share of tasks with it, and no more. */
const answered = async (cases: readonly Case[]): Promise<readonly Answer[]> => {
  const { scripts } = await packPage()
  const { server, address } = await servePage(scripts, out)
  const browser = await launch({ webgpu: true })
  const answers: Answer[] = []
  for (let at = 0; at < cases.length; at += together) {
    const page = await openPage(browser, address, [])
    for (const { task } of cases.slice(at, at + together)) {
      const answer = await ask(page, 'perform', { device: 'webgpu', allowSoftware: true, tune: false }, task)
        .catch((error: unknown): Answer => ({ id: task.id, problem: String(error) }))
      answers.push(answer as Answer) // what perform returns, by way of the browser's protocol
    }
    await page.close()
  }
  await browser.close()
  server.close()
  return answers
}

if (chromiumPath === undefined) {
  process.stdout.write('SKIPPED: programs are not run on WebGPU in a browser, for there is no Chromium here (Debian: apt-get install chromium)\n')
  test.skip('WebGPU in Chromium: no Chromium')
} else {
  const cases = makeSuite(out)
  const answers = await answered(cases)
  cases.forEach((each, i) => test(each.task.id, () => assert.is(wrong(each, answers[i] ?? { id: each.task.id, problem: 'there is no answer' }, { zeros: false }), null)))
}

test.run()
