/** What a thread of a compile does: jobs come as messages, their outcomes go back. A fault ends the thread, and with it the compile. */
import { parentPort } from 'node:worker_threads'
import { type Job, perform } from './job.ts'
import { kernels } from './targets/wgsl/kernels.ts'

const make = kernels()

parentPort?.on('message', (job: Job) => parentPort?.postMessage(perform(job, make)))
