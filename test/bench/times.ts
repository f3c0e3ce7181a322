/** Processor time of repeated runs, for the benchmarks: other work on the machine does not count. */

/** Milliseconds of each run, ascending: at least five runs, for about `milliseconds` in all. */
export const processorTimes = (run: () => void, milliseconds: number): readonly number[] => {
  const times: number[] = []
  const until = performance.now() + milliseconds
  while (times.length < 5 || performance.now() < until) {
    const from = process.cpuUsage()
    run()
    const spent = process.cpuUsage(from)
    times.push((spent.user + spent.system) / 1000)
  }
  return times.sort((x, y) => x - y)
}
