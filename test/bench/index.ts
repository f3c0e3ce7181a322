/**
 * `npm run bench`: compiles the yardsticks and VDSM into build/bench, measures everything that the README's table reports,
 * prints it as Markdown, and writes it there as results.md and results.json. `npm run bench -- --help` tells the options.
 */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { print, Refusal, refuse } from '../../dsl/errors.ts'
import { openBuild } from '../../runtime/build.ts'
import { nodeHost } from '../../runtime/device/node.ts'
import { better, measureRates, type Rates } from '../../runtime/device/rates.ts'
import { threadsOption } from '../../runtime/commands/command.ts'
import { orThrow } from '../../runtime/train/task.ts'
import { measureAllocation } from './allocation.ts'
import { compareRow, install, type Compared } from './compare.ts'
import { rated, timeRow, type Effort, type Machine, type Timed } from './measure.ts'
import { rows } from './rows.ts'
import { markdown, type Compile, type Results } from './table.ts'

type Options = { readonly quick?: true; readonly only?: string; readonly peers?: true; readonly threads: number }

const out = join('build', 'bench')
const tell = (text: string): void => console.error(text)

/** Compiles from scratch, then again with nothing changed. */
const compiled = (what: string, paths: readonly string[]): Compile => {
  const run = (...more: readonly string[]): { readonly seconds: number; readonly programs: number } => {
    const args = ['runtime/vdsm.mjs', 'compile', ...paths, '--out', out, '--quiet', ...more]
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    const [, programs = '', seconds = ''] = /^(\d+) programs? .*\(([\d.]+) s\)$/m.exec(stdout) ?? []
    if (status !== 0 || seconds === '') refuse({ kind: 'usage', message: `${what} could not be compiled`, remedy: stderr.trim() })
    return { seconds: Number(seconds), programs: Number(programs) }
  }
  tell(`compiling ${what} ...`)
  const cold = run('--force')
  return { what, programs: cold.programs, coldSeconds: cold.seconds, warmSeconds: run().seconds }
}

const machineOf = (): Results['machine'] => {
  const early = Number(process.versions.node.split('.')[0]) < 22
  const flags = ['--no-liftoff', '--no-wasm-lazy-compilation', ...(early ? ['--experimental-wasm-relaxed-simd'] : [])]
  return { cpu: cpus()[0]?.model.trim() ?? 'unknown', cores: cpus().length, node: process.versions.node, v8: process.versions.v8, flags }
}

const bench = async (options: Options): Promise<void> => {
  const quick = options.quick === true
  const effort: Effort = quick ? { rounds: 2, seconds: 0.15 } : { rounds: 7, seconds: 0.5 }
  const chosen = rows.filter(row => options.only === undefined || row.name === options.only)
  if (chosen.length === 0) {
    refuse({ kind: 'usage', message: `--only: there is no row '${options.only ?? ''}'`, remedy: `There are: ${rows.map(row => row.name).join(', ')}` })
  }
  if (options.peers === true) install()
  const needsModel = chosen.some(row => row.program.startsWith('vdsm/'))
  const model = (): Compile => (quick ? compiled('VDSM `small`', ['models/vdsm/small']) : compiled('VDSM, all sizes', ['models']))
  const compile = [compiled('the yardsticks', ['test/bench/models/yardsticks.ts']), ...(needsModel ? [model()] : [])]

  const host = nodeHost(out)
  host.prepare()
  const build = await orThrow(openBuild(host))
  const { threads } = options
  let rates: Machine | undefined
  const look = async (): Promise<void> => {
    const one = await measureRates(1)
    // More threads do no less than one, whatever else runs here.
    const all = threads === 1 ? one : better(await measureRates(threads), one)
    rates = rates === undefined ? { one, all } : { one: better(rates.one, one), all: better(rates.all, all) }
  }
  const known = (): Machine => rates ?? { one: none, all: none }
  await look()
  const timed: Timed[] = []
  const peers: Compared[] = []
  for (const row of chosen) {
    tell(`measuring ${row.what} ...`)
    const result = await timeRow(build, row, threads, effort)
    timed.push(result)
    await look()
    if (options.peers !== true) continue
    const heard = (c: Compared): void => tell(`  ${c.library}: ${'error' in c ? c.error : `${c.ms.toFixed(1)} ms`}`)
    peers.push(...(await compareRow(build, row, threads, quick ? 0.3 : 2, heard)))
  }
  const allocation = needsModel ? (tell('watching the collector ...'), await measureAllocation(build, 'vdsm/small/frames', quick ? 20 : 200)) : null
  const measured = timed.map(t => rated(t, out, known()))
  const date = new Date().toISOString().slice(0, 10)
  const results: Results = { version: 1, date, machine: machineOf(), rates: known(), rows: measured, compile, allocation, peers }
  const text = markdown(results)
  writeFileSync(join(out, 'results.json'), `${JSON.stringify(results, null, 1)}\n`)
  writeFileSync(join(out, 'results.md'), text)
  console.log(`\n${text}`)
}

const none: Rates = { threads: 1, peakGflops: NaN, productGflops: NaN, farGBs: NaN, nearGBs: NaN }

await new Command('npm run bench --')
  .description('Measures the programs of the README\'s table on this machine. `npm run vdsm -- bench PROGRAM` measures a single one.')
  .option('--quick', 'a first look of less than a minute: fewer rounds, only VDSM `small`')
  .option('--only <name>', `one row: ${rows.map(row => row.name).join(', ')}`)
  .option('--peers', 'other libraries as well: installs those of test/bench/peers from npm, once; some of them take minutes')
  .option('--threads <n>', 'as many threads beside one', threadsOption, nodeHost(out).threads.available())
  .action(bench)
  .parseAsync()
  .catch((error: unknown) => {
    if (!(error instanceof Refusal)) throw error
    console.error(print(error.failure))
    process.exitCode = 2
  })
// Workers of other threads would keep the process.
process.exit()
