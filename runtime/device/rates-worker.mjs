/** A thread that measures beside others (rates.ts): lets Node read TypeScript, says that it is ready, then takes its part. */
import { parentPort, workerData } from 'node:worker_threads'
import { register } from 'tsx/esm/api'

register({ tsconfig: false })
const { takePart } = await import('./rates.ts')
parentPort?.postMessage('ready')
takePart(workerData)
