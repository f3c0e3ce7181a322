/** A training run in a process of its own, to be interrupted: `train-child.ts FOLDER`. Says "step N" after each step; exits as `vdsm train` does. */
import { createRun } from '../../../runtime/train/folder.ts'
import { runSession } from '../../../runtime/train/session.ts'
import { stopOnSignal } from '../../../runtime/train/signals.ts'
import type { RunConfig } from '../../../runtime/train/config.ts'
import { fakePrograms } from './train-programs.ts'

const config: RunConfig = {
  version: 1, config: 'tiny', stage: 1, data: { name: 'pendulum', splitSeed: 0 }, seed: 3, steps: 1_000_000, checkpointEvery: 1_000_000, pictureEvery: 1_000_000,
}
const { stopped } = stopOnSignal()
const outcome = await runSession({
  config, folder: await createRun(process.argv[2] ?? '', config), programs: fakePrograms(), resume: false, stopped, sink: { write: text => process.stdout.write(text) },
  schedule: () => ({ learningRate: 1e-3, temperature: 1, lambdaS: 1, lambdaZ: 1 }),
})
process.exit(outcome.end === 'stopped' ? 130 : 0)
