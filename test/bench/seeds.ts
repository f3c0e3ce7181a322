/**
 * `npm run seeds -- [options of vdsm train]`: the same training by five seeds in a row, each in a run of its own, and a table
 * of how they ended. All options but --count and --out go to `vdsm train`; --out is the folder of the runs (default
 * runs/seeds): those that are there already are taken up again, so that an interrupted series goes on.
 *
 * A run that meets a NaN or an infinity ends at that step (the trainer sees to it), and is listed as failed, with its last step.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { stepsOf, type StageNumber } from '../../runtime/train/config.ts'
import { openRun } from '../../runtime/train/folder.ts'
import { readMetrics, type MetricsLine } from '../../runtime/train/metrics.ts'
import { duration, short } from '../../runtime/train/progress.ts'

const BIN = resolve('runtime/vdsm.mjs')
/** Steps over which the last loss is averaged. */
const LAST = 50

const { values, tokens } =
  parseArgs({ options: { count: { type: 'string', default: '5' }, out: { type: 'string', default: 'runs/seeds' } }, strict: false, tokens: true })
const ours = new Set(tokens.flatMap(token => (token.kind === 'option' && (token.name === 'count' || token.name === 'out')
  ? (token.inlineValue === false ? [token.index, token.index + 1] : [token.index]) : [])))
const passed = process.argv.slice(2).filter((_, i) => !ours.has(i))
const folderOf = (seed: number): string => join(String(values.out), `seed-${seed}`)

/** How one stage of a run has ended; nothing where it was not reached. */
const endOf = (lines: readonly MetricsLine[], stage: StageNumber, steps: number): readonly string[] => {
  const own = lines.filter(line => line.stage === stage)
  const trained = own.filter(line => 'loss' in line)
  const mean = (name: string, from: readonly MetricsLine[]): number => from.reduce((sum, line) => sum + Number(line[name]), 0) / from.length
  const heldOut = own.findLast(line => 'heldOut.bitsPerDim' in line)
  const values = own.flatMap(line => Object.values(line))
  const done = trained.at(-1)?.step ?? 0
  return [
    `${done}/${steps}`,
    short(mean('loss', trained.slice(-LAST))),
    heldOut === undefined ? '-' : short(Number(heldOut['heldOut.bitsPerDim'])),
    short(Math.max(...trained.map(line => Number(line['gradientNorm'])))),
    values.every(value => typeof value === 'number' && Number.isFinite(value)) && done === steps ? 'none' : 'FAILED',
    duration(trained.reduce((sum, line) => sum + Number(line['milliseconds']), 0) / 1000),
    `${short((100 * mean('waited', trained)) / mean('milliseconds', trained))}%`,
  ]
}

const print = (rows: readonly (readonly string[])[]): void => {
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map(row => row[i]?.length ?? 0))) ?? []
  for (const row of rows) process.stdout.write(`${row.map((cell, i) => cell.padStart(widths[i] ?? 0)).join('  ')}\n`)
}

const seeds = Array.from({ length: Number(values.count) }, (_, seed) => seed)
const rows: (readonly string[])[] = [['seed', 'stage', 'steps', 'last loss', 'held out, bits', 'largest gradient', 'NaN', 'time', 'waiting']]
let failed = 0
for (const seed of seeds) {
  const folder = folderOf(seed)
  const again = existsSync(join(folder, 'config.json'))
  const { status } = spawnSync(process.execPath, [BIN, 'train', ...(again ? ['--resume', folder] : ['--seed', String(seed), '--out', folder]), ...passed],
    { stdio: ['ignore', 'ignore', 'inherit'] })
  if (status === 130) process.exit(130)
  if (status !== 0) failed += 1
  if (!existsSync(join(folder, 'config.json'))) process.exit(status ?? 1) // refused: it says why
  const { config } = openRun(folder)
  const lines = readMetrics(join(folder, 'metrics.jsonl'))
  for (const stage of config.stages) {
    if (lines.some(line => line.stage === stage)) rows.push([String(seed), String(stage), ...endOf(lines, stage, stepsOf(config, stage))])
  }
  print(rows)
}
process.stdout.write(failed === 0 ? `All ${seeds.length} seeds trained to the end.\n` : `${failed} of ${seeds.length} seeds failed.\n`)
process.exitCode = failed === 0 ? 0 : 1
