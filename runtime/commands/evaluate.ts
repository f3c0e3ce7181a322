/** `vdsm evaluate RUN`: what can be read from the latents of a trained model, as tables and as JSON. */
import { join } from 'node:path'
import { movedDataConfig, openData } from '../data/open.ts'
import { evaluate, type Subject } from '../evaluate/evaluate.ts'
import { openTrained } from '../evaluate/opening.ts'
import { openProbes, sizeFor } from '../evaluate/probes.ts'
import { startShares } from '../evaluate/progress.ts'
import { reportOf, spreadOf } from '../evaluate/table.ts'
import { checkWritable, writeAtomic } from '../io/files.ts'
import type { ProgramInfo } from '../manifest.ts'
import { gitRevision } from '../train/folder.ts'
import { duration } from '../train/progress.ts'
import { attempt, orThrow } from '../train/task.ts'
import { ownVersion } from '../version.ts'
import { oneOf, positive, say, seedOption, withBuild, withThreads, type Register } from './command.ts'
import { chooseDevice, withDevice, type DeviceOptions } from './device.ts'

const DEFAULTS = { seed: 0, seeds: 3, train: 2000, heldOut: 2000 } as const

type Options = DeviceOptions & {
  readonly build: string
  readonly checkpoint?: string
  readonly stage?: '1' | '2'
  readonly seed: number
  readonly seeds: number
  readonly train: number
  readonly heldOut: number
  readonly dataDir?: string
  readonly out?: string
}

/** The features of the widest latent that `encode` returns. */
const widest = ({ outputs }: ProgramInfo): number => Math.max(...outputs.map(({ shape }) => shape.at(-1) ?? 0))

const evaluateCommand = async (given: string | undefined, o: Options): Promise<void> => {
  const trained = await openTrained({ run: given, checkpoint: o.checkpoint, stage: o.stage === undefined ? undefined : o.stage === '1' ? 1 : 2 },
    o.build, async (host, programs) => (await chooseDevice(o, host, programs)).options)
  const { run, config, checkpoint, programs } = trained
  const { stage, step } = checkpoint
  const out = o.out ?? join(run, 'evaluation.json')
  await orThrow(checkWritable(out))
  const dataConfig = movedDataConfig(config.data, o.dataDir === undefined ? {} : { dataDir: o.dataDir })
  const data = openData(dataConfig)
  const probes = await openProbes(o.build,
    sizeFor(widest(programs.info.encode), Math.max(data.actions.length, ...data.factors.map(({ values }) => values.length))))
  const plan = { seed: o.seed, seeds: o.seeds, train: o.train, heldOut: o.heldOut }

  const started = performance.now()
  const subject: Subject = {
    stage, encode: await programs.load.encode(), evaluate: await programs.load.evaluate(), temperature: trained.temperature, priors: trained.priors,
    data, probes,
  }
  const title = `${checkpoint.path} (vdsm/${checkpoint.metadata.config} on ${data.name}, stage ${stage}, step ${step}), on ${subject.encode.variant}`
  await say(title)()
  data.notes.forEach(note => process.stderr.write(`${note}\n`))
  const progress = startShares(process.stderr)
  const evaluation = await evaluate(subject, plan, progress.add).finally(progress.stop).finally(programs.release)

  const seconds = Math.round((performance.now() - started) / 1000)
  const record = {
    version: 1,
    run, config: checkpoint.metadata.config, stage, step, checkpoint: checkpoint.path, data: dataConfig,
    plan, ...evaluation,
    readings: evaluation.readings.map(reading => ({ ...reading, ...spreadOf(reading.accuracy) })),
    seconds,
    made: { vdsm: ownVersion(), node: process.versions.node, revision: gitRevision(), model: checkpoint.metadata.revision, on: subject.encode.arithmetic },
  }
  await orThrow(writeAtomic(out, `${JSON.stringify(record, null, 1)}\n`))
  await say(`${reportOf(evaluation, stage)}\n\n${out}, ${duration(seconds)}`)()
}

export const register: Register = (cli, settle) => {
  withDevice(withThreads(withBuild(cli.command('evaluate'))), ['webgpu', 'wasm'])
    .description('how much of each factor small classifiers can read from s, d and z of held-out sequences; the bound by site')
    .argument('[run]', 'the folder of a run (its newest checkpoint is evaluated), or a checkpoint (default: the newest run in runs/)')
    .option('--checkpoint <file>', 'this checkpoint instead of the newest of the run')
    .option('--stage <n>', 'evaluate the newest checkpoint of stage 1 or 2 (default: of the last stage that was trained)', oneOf('1', '2'))
    .option('--seed <n>', 'decides the sequences, clips, draws and probes', seedOption, DEFAULTS.seed)
    .option('--seeds <n>', 'how many probes are trained for each number', positive, DEFAULTS.seeds)
    .option('--train <n>', 'training sequences for a probe, at most', positive, DEFAULTS.train)
    .option('--held-out <n>', 'held-out sequences that are looked at, at most', positive, DEFAULTS.heldOut)
    .option('--data-dir <folder>', 'where the data lies now, if it has moved since training')
    .option('--out <file>', 'where the numbers are written (default: RUN/evaluation.json)')
    .action((run: string | undefined, options: Options) => settle(attempt(() => evaluateCommand(run, options))))
}
