/** A process that uses worker threads and then ends in one of several ways: `node --import tsx threads-child.ts BUILD MODE`. */
import * as E from 'fp-ts/lib/Either.js'
import { Refusal } from '../../../dsl/errors.ts'
import { loadProgram } from '../../../runtime/build.ts'
import { nodeHost } from '../../../runtime/device/node.ts'
import type { LocalExecutable } from '../../../runtime/executor.ts'

const [build = '', mode = ''] = process.argv.slice(2)

const ready = async (): Promise<LocalExecutable> => {
  const loaded = await loadProgram(nodeHost(build), 'threads/meet', { threads: 3 })()
  if (E.isLeft(loaded)) throw new Refusal(loaded.left)
  loaded.right.set('fail', [-1])
  return loaded.right
}
const pause = (milliseconds: number): Promise<void> => new Promise(done => setTimeout(done, milliseconds))

process.on('exit', () => process.stdout.write(`ends: ${mode}\n`))

const main = async (): Promise<void> => {
  if (mode === 'loading') return void ready().then(({ variant }) => process.stdout.write(`${variant}\n`))
  const program = await ready()
  program.run()
  if (mode.endsWith('asleep')) await pause(30)
  if (mode.startsWith('exit')) process.exit(3)
  if (mode.startsWith('throw')) throw new Error('thrown on purpose')
  if (mode === 'failing') {
    program.set('fail', [1])
    program.run()
  }
  if (mode === 'dropping') {
    const most = { rss: 0 }
    for (let i = 0; i < 24; i++) {
      const each = await ready()
      const { buffer } = each.view('')
      new Uint8Array(buffer, 65536).fill(1)
      most.rss = Math.max(most.rss, process.memoryUsage().rss)
      await pause(1)
    }
    process.stdout.write(`most ${Math.round(most.rss / 2 ** 20)} MiB\n`)
  }
}

await main()
