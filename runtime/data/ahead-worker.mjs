// @ts-check
/** The worker thread of ahead.ts: lets this thread read TypeScript, as vdsm.mjs does for the main one, then serves. */
import { workerData } from 'node:worker_threads'
import { register } from 'tsx/esm/api'

register({ tsconfig: false })

const { serve } = await import('./ahead-serve.ts')
serve(workerData)
