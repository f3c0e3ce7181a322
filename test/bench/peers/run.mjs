/** One library on one job, in a process of its own: `node run.mjs LIBRARY JOB THREADS SECONDS`; prints a line of JSON. */
import { sampled } from './data.mjs'

const [library, job, threads, seconds] = process.argv.slice(2)
try {
  const { prepare } = await import(`./${library}.mjs`)
  const { run, result, ...about } = await prepare(job, Number(threads))
  const timed = async () => {
    const start = performance.now()
    await run()
    return performance.now() - start
  }
  const first = await timed()
  const slice = sampled(await result())
  const times = []
  // What takes long is measured once more, or not at all; all else is warmed up.
  for (let left = first > 10_000 ? 0 : first > 1000 ? 1 : 3; left > 0; left--) await timed()
  const end = performance.now() + 1000 * Number(seconds)
  do times.push(await timed())
  while (performance.now() < end)
  times.sort((a, b) => a - b)
  console.log(JSON.stringify({ ...about, ms: times[times.length >> 1], runs: times.length, slice }))
} catch (error) {
  console.log(JSON.stringify({ error: error instanceof Error ? error.message : String(error) }))
}
process.exit(0)
