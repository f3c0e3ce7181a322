/**
 * `npm run bench:gpu`, or without npm `node --import tsx test/bench/gpu/index.ts`: everything that is measured on a machine with a GPU, ours
 * and PyTorch side by side, each part in a process of its own under a limit of time. README.md beside this file says more.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { Command } from 'commander'
import { print, Refusal, refuse } from '../../../dsl/errors.ts'
import { positiveNumber } from '../../../runtime/commands/command.ts'
import { parseManifest, manifestFile } from '../../../runtime/manifest.ts'
import { right } from '../../../runtime/train/task.ts'
import type { About } from '../../../runtime/device/webgpu/adapter.ts'
import { run, type Job, type Part } from './child.ts'
import { linesOf, versionsIn } from './lines.ts'
import { machine } from './machine.ts'
import { markdown, type Results } from './report.ts'
import { peakOf, rows, sourcesOf, type Row } from './rows.ts'
import { specOf } from './spec.ts'
import { trainingJobs, keepTraining } from './training.ts'

type Options = {
  readonly out: string
  readonly build: string
  readonly python: string
  readonly seconds: number
  readonly limit: number
  readonly only?: string
  readonly skip?: string
  readonly allowSoftware?: true
  readonly peakTflops?: number
  readonly revision?: string
  readonly trainMinutes?: number
  readonly dataDir?: string
}

const here = 'test/bench/gpu'
const node = (script: string, ...args: readonly string[]): Job['args'] => [process.execPath, '--import', 'tsx', script, ...args]
const tell = (text: string): void => void process.stderr.write(`${text}\n`)

/** What is there, or the end: no software adapter by accident. */
const adapterOf = (trial: boolean): About => {
  const [program, ...args] = node(join(here, 'about.ts'), ...(trial ? ['--allow-software'] : []))
  const { status, signal, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 120_000 })
  if (status !== 0 || stdout.trim() === '') {
    const said = stderr.trim() === '' ? `asking for an adapter ended with ${signal ?? status}` : stderr.trim()
    return refuse({
      kind: 'usage', message: `there is no GPU to be measured: ${said}`,
      remedy: 'Run it where a GPU is. To try the measurement itself, with tiny programs and figures that mean nothing: --allow-software.',
    })
  }
  return JSON.parse(stdout) as About // about.ts prints just that
}

/** Results that are there already, of the same device and revision: parts that are not measured again stay. */
const before = (path: string, now: Pick<Results, 'adapter' | 'machine' | 'meaningless'>): Pick<Results, 'parts' | 'commands' | 'torch'> => {
  if (!existsSync(path)) return { parts: [], commands: [], torch: null }
  const found = JSON.parse(readFileSync(path, 'utf8')) as Results // its own file
  const same = found.version === 1 && found.adapter.name === now.adapter.name && found.machine.gpu?.driver === now.machine.gpu?.driver
    && found.machine.revision === now.machine.revision && found.meaningless === now.meaningless
  return same ? found : refuse({
    kind: 'file', path, message: 'holds results of another device or another revision', remedy: 'Give --out another file, or move this one away.',
  })
}

/** The parts by name, as --only and --skip choose them: a whole name, or how it begins (`paper-sprites`, `torch:`, `ours:matmul`). */
const chooser = ({ only, skip }: Pick<Options, 'only' | 'skip'>): ((name: string) => boolean) => {
  const begins = (list: string | undefined, name: string): boolean =>
    (list ?? '').split(',').map(word => word.trim()).some(word => word !== '' && (name.startsWith(word) || name.slice(name.indexOf(':') + 1).startsWith(word)))
  return name => (only === undefined || begins(only, name)) && !begins(skip, name)
}

/** Ours, PyTorch, and what they need, for one row. */
const jobsFor = (row: Row, o: Options, trial: boolean): readonly Job[] => {
  const program = row.kind === 'yardstick' ? (trial ? row.trial : row.program) : `vdsm/${trial ? 'tiny' : row.config}/${row.stage}/trainStep`
  if (program === null) return []
  const seconds = ['--seconds', String(o.seconds)]
  const less = trial ? ['--allow-software', '--modes', 'untuned', '--rounds', '2'] : []
  const ours = node(join(here, 'ours.ts'), program, '--build', o.build, ...seconds, ...less)
  // What has been measured about kernels is kept beside the results.
  const env = { XDG_CACHE_HOME: join(dirname(resolve(o.out)), 'cache') }
  const torch = row.kind === 'yardstick'
    ? [o.python, join(here, 'torch/time_yardstick.py'), row.peer, ...seconds, ...(trial ? ['--trial'] : [])] as const
    : [o.python, join(here, 'torch/train_steps.py'), specPath(o, program), ...seconds, ...(trial ? ['--trial'] : [])] as const
  return [{ name: `ours:${row.name}`, args: ours, limitSeconds: o.limit, env }, { name: `torch:${row.name}`, args: torch, limitSeconds: o.limit }]
}

const specPath = ({ build }: Options, program: string): string => join(build, 'peer', `${program.replaceAll('/', '-')}.spec.json`)

/** The shapes that PyTorch needs of a training step, from the manifest. */
const writeSpecs = (o: Options): void => {
  const path = join(o.build, manifestFile)
  if (!existsSync(path)) return
  mkdirSync(join(o.build, 'peer'), { recursive: true })
  for (const program of right(parseManifest(readFileSync(path, 'utf8'), path)).programs) {
    const spec = program.id.endsWith('/trainStep') ? specOf(program) : null
    if (spec !== null) writeFileSync(specPath(o, program.id), JSON.stringify(spec))
  }
}

const compileJobs = (o: Options, chosen: readonly Row[], trial: boolean, checked: boolean, trains: boolean): readonly Job[] => {
  const sources = [
    ...sourcesOf(chosen, trial), ...(checked ? [`${here}/models/peer.ts`] : []),
    ...(trial ? [`${here}/models/trial.ts`] : []),
    ...(checked || (!trial && chosen.some(({ kind }) => kind === 'yardstick')) ? ['test/bench/models/yardsticks.ts'] : []),
    ...(trains ? [`models/vdsm/${trial ? 'tiny' : 'paper-sprites'}`, 'models/probe'] : []),
  ]
  return [...new Set(sources)].map(source => ({
    name: `compile:${source}`, limitSeconds: 2 * o.limit, keep: true,
    args: [process.execPath, 'runtime/vdsm.mjs', 'compile', source, '--out', o.build, '--quiet'] as const,
  }))
}

const bench = async (o: Options): Promise<void> => {
  const trial = o.allowSoftware === true
  const adapter = adapterOf(trial)
  const now = { adapter, machine: machine(o.revision), meaningless: adapter.software }
  const small = adapter.software
  const command = ['node', '--import', 'tsx', join(here, 'index.ts'), ...process.argv.slice(2)].join(' ')
  if (o.trainMinutes !== undefined && o.dataDir === undefined && !small) {
    refuse({ kind: 'usage', message: '--train-minutes: it is not said where the sprites lie', remedy: 'Add --data-dir FOLDER.' })
  }
  const known = before(o.out, now)
  let results: Results = {
    version: 1, date: new Date().toISOString(), ...now, torch: known.torch, commands: [...known.commands, command],
    peakTflops: o.peakTflops ?? peakOf(now.machine.gpu?.name ?? adapter.name), parts: known.parts,
  }
  mkdirSync(dirname(resolve(o.out)), { recursive: true })
  const save = (): void => {
    writeFileSync(o.out, `${JSON.stringify(results, null, 1)}\n`)
    writeFileSync(o.out.replace(/(\.json)?$/, '.md'), markdown(results))
  }
  const perform = async (job: Job): Promise<Part> => {
    tell(`${job.name} ...`)
    const heard = (line: unknown): void =>
      linesOf([line]).forEach(({ mode, ms, error }) => tell(`  ${mode}: ${ms === undefined ? error?.split('\n')[0] : `${ms.toPrecision(4)} ms`}`))
    const part = await run({ ...job, onLine: heard })
    if (part.status !== 'ok') tell(`  ${part.status}: ${part.said?.trim().split('\n').slice(-3).join('\n  ') ?? ''}`)
    results = { ...results, torch: versionsIn(part.lines) ?? results.torch, parts: [...results.parts.filter(({ name }) => name !== job.name), part] }
    save()
    return part
  }
  const wanted = chooser(o)
  const chosen = rows.filter(({ name }) => wanted(`ours:${name}`) || wanted(`torch:${name}`))
  const [exported, checked, trains] = [wanted('peer:export'), wanted('peer:check'), o.trainMinutes !== undefined && wanted('train')]
  if (chosen.length === 0 && !exported && !checked && !trains && !wanted('conformance')) {
    refuse({
      kind: 'usage', message: '--only and --skip leave nothing to be measured', remedy: 'Parts are named in --help; training also needs --train-minutes.',
    })
  }
  tell(`${adapter.name}${small ? ': a software adapter, figures mean nothing' : ''}; results: ${o.out}`)

  const compiles = chooser(o.skip === undefined ? {} : { skip: o.skip })
  for (const job of compileJobs(o, chosen, small, exported, trains).filter(({ name }) => compiles(name))) await perform(job)
  writeSpecs(o)
  if (wanted('conformance')) {
    await perform({
      name: 'conformance', args: node('node_modules/uvu/bin.js', 'test/conformance', 'webgpu\\.test\\.ts$'), limitSeconds: 2 * o.limit, keep: true,
    })
  }
  if (exported) await perform({ name: 'peer:export', args: node(join(here, 'export.ts'), o.build), limitSeconds: o.limit })
  if (checked) {
    await perform({ name: 'peer:check', args: [o.python, join(here, 'torch/check.py'), join(o.build, 'peer')], limitSeconds: o.limit })
  }
  // A row's two sides directly after each other.
  for (const job of chosen.flatMap(row => jobsFor(row, o, small)).filter(({ name }) => wanted(name))) await perform(job)
  if (trains) {
    for (const job of trainingJobs({ ...o, minutes: o.trainMinutes ?? 0, trial: small, results })) await perform(job)
    keepTraining(dirname(resolve(o.out)))
  }
  save()
  process.stdout.write(`\n${markdown(results)}`)
  const failed = results.parts.filter(({ status, name }) => status === 'failed' && wanted(name))
  if (failed.length > 0) process.exitCode = 1
}

await new Command('npm run bench:gpu --')
  .description('Measures everything on a GPU: conformance, yardsticks and training steps, ours and PyTorch; a table, and all as JSON.')
  .option('--out <file>', 'where results are written, as JSON, and as a table in .md beside it; parts of the same device and revision that are there stay',
    'build/gpu/results.json')
  .option('--build <dir>', 'what is measured is compiled into', 'build/gpu')
  .option('--python <program>', 'the Python that has torch', 'python3')
  .option('--seconds <n>', 'about so long is every program measured, in all its modes together', positiveNumber, 10)
  .option('--limit <seconds>', 'of every part; compiling and conformance have twice as much', positiveNumber, 300)
  .option('--only <parts>', `these alone, by how their names begin: conformance, peer, train, ${rows.map(({ name }) => name).join(', ')}; ours:, torch:`)
  .option('--skip <parts>', 'all but these')
  .option('--train-minutes <n>', 'also trains paper-sprites for so long in all, and evaluates it', positiveNumber)
  .option('--data-dir <folder>', 'where the sprites lie, for the training')
  .option('--allow-software', 'a trial without a GPU: tiny programs on a software adapter; no figure means anything')
  .option('--peak-tflops <n>', 'of f32 without tensor cores, in TFLOP/s (default: 60 for H100 and H200, otherwise unknown)', positiveNumber)
  .option('--revision <text>', 'recorded where git cannot say it')
  .action(bench)
  .parseAsync()
  .catch((error: unknown) => {
    if (!(error instanceof Refusal)) throw error
    tell(print(error.failure))
    process.exitCode = 2
  })
