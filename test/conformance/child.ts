/** A process of its own for some tasks on WebGPU: `child.ts BUILD TASKS ANSWERS`, the last two files of JSON lines; an answer is written as soon as it is there. */
import { appendFileSync, readFileSync } from 'node:fs'
import { openBuild } from '../../runtime/build.ts'
import { nodeHost } from '../../runtime/device/node.ts'
import { orThrow } from '../../runtime/train/task.ts'
import { perform } from './perform.ts'
import type { Task } from './transport.ts'

const [folder = '', tasks = '', answers = ''] = process.argv.slice(2)
const build = await orThrow(openBuild(nodeHost(folder)))
for (const line of readFileSync(tasks, 'utf8').split('\n').filter(text => text !== '')) {
  const task = JSON.parse(line) as Task // written by the suite
  appendFileSync(answers, `${JSON.stringify(await perform(build, { device: 'webgpu', allowSoftware: true, tune: false }, task))}\n`)
}
process.exit(0) // one program keeps the device
