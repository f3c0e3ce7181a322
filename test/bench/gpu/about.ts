/** The adapter that the runtime takes, as one line of JSON; in a process of its own, since a driver may end it. */
import { nodeHost } from '../../../runtime/device/node.ts'
import { findAdapter } from '../../../runtime/device/webgpu/adapter.ts'
import { print, Refusal } from '../../../dsl/errors.ts'
import { orThrow } from '../../../runtime/train/task.ts'

try {
  const { about } = await orThrow(findAdapter(nodeHost('build').gpu, process.argv.includes('--allow-software'), true))
  process.stdout.write(`${JSON.stringify(about)}\n`)
  process.exit(0)
} catch (error) {
  process.stderr.write(`${error instanceof Refusal ? print(error.failure) : String(error)}\n`)
  process.exit(2)
}
