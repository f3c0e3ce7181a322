/** The device webgl in a page of a real browser, on programs written by hand. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Browser, Page } from 'playwright-core'
import { ask, chromiumPath, launch, openPage, packPage, servePage } from './support.ts'

const test = suite('webgl in Chromium')
let browser: Browser | undefined
let page: Page | undefined
let address = ''
let close = (): void => undefined
const troubles: string[] = []

test.before(async () => {
  const { scripts } = await packPage('webgl-page.ts')
  const served = await servePage(scripts, '/nowhere')
  address = served.address
  close = () => void served.server.close()
  browser = await launch()
  page = await openPage(browser, address, troubles, async opened => void opened.on('console', message => troubles.push(message.text())))
})
test.after(async () => {
  await browser?.close()
  close()
})

test('what is here has a name and limits', async () => {
  console.log(await ask(page, 'here'))
})

test('calls, loops, partial stores, words, exchange, sharing and feeding', async () => {
  assert.is(await ask(page, 'check'), 'nothing was refused')
  assert.equal(troubles, [])
})

if (chromiumPath === undefined) process.stdout.write('There is no Chromium here: webgl in a page is not tested.\n')
else test.run()
