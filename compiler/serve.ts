/** What a thread of a compile does: jobs come as messages, their outcomes go back. A fault ends the thread, and with it the compile. */
import { parentPort } from 'node:worker_threads'
import { shared } from './emit/build.ts'
import { type Job, perform } from './job.ts'

const make = shared()

parentPort?.on('message', (job: Job) => parentPort?.postMessage(perform(job, make)))
