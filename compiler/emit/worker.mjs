// @ts-check
/** A thread of the compiler: lets Node read TypeScript, then makes one program after the other. See threads.ts. */
import { parentPort } from 'node:worker_threads'
import { register } from 'tsx/esm/api'

register({ tsconfig: false })
const { answer } = await import('./threads.ts')
parentPort?.on('message', task => parentPort?.postMessage(answer(task)))
