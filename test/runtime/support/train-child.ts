/** A training run in a process of its own, to be interrupted: `train-child.ts FOLDER`. Says "step N" after each step; exits as `vdsm train` does. */
import { pendulum } from '../../../runtime/data/pendulum.ts'
import type { RunConfig } from '../../../runtime/train/config.ts'
import { createRun } from '../../../runtime/train/folder.ts'
import { runSession } from '../../../runtime/train/session.ts'
import { stopOnSignal } from '../../../runtime/train/signals.ts'
import { fakeStage } from './train-programs.ts'

const config: RunConfig = {
  version: 2, config: 'tiny', stages: [1], data: { name: 'pendulum', splitSeed: 0 }, seed: 3, steps: { frames: 1_000_000, video: 1 },
  checkpointEvery: 1_000_000, pictureEvery: 1_000_000,
}
const { stopped } = stopOnSignal()
const outcome = await runSession({
  config, folder: await createRun(process.argv[2] ?? '', config), stages: [fakeStage(1)], data: pendulum(), resume: false, stopped,
  sink: { write: text => process.stdout.write(text) },
})
process.exit(outcome.end === 'stopped' ? 130 : 0)
