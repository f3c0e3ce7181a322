/** Does the suite's tasks in pages of headless Chromium. */
import { ask, launch, openPage, packPage, servePage } from '../browser/support.ts'
import type { LoadOptions } from '../../runtime/build.ts'
import type { Case } from './suite.ts'
import type { Answer } from './transport.ts'

/** Tasks of one page: a new one starts with a new device. */
const together = 80

/** All answers, in the order of the cases, whose programs lie in the folder `out`. A page that breaks takes its share of tasks with it, and no more. */
export const answersInChromium = async (out: string, cases: readonly Case[], options: LoadOptions, flags: Parameters<typeof launch>[0]): Promise<readonly Answer[]> => {
  const { scripts } = await packPage()
  const { server, address } = await servePage(scripts, out)
  const browser = await launch(flags)
  const answers: Answer[] = []
  for (let at = 0; at < cases.length; at += together) {
    const page = await openPage(browser, address, [])
    for (const { task } of cases.slice(at, at + together)) {
      const answer = await ask(page, 'perform', options, task).catch((error: unknown): Answer => ({ id: task.id, problem: String(error) }))
      answers.push(answer as Answer) // what perform returns, by way of the browser's protocol
    }
    await page.close()
  }
  await browser.close()
  server.close()
  return answers
}
