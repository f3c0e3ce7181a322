/**
 * Stage 1 of VDSM on the pendulum, step by step: what the page's worker runs. It has no page and no worker in it, so it runs
 * in Node as well. Batches, keys and schedule are those of `vdsm train`: the same seed gives the same numbers.
 */
import { schedules, valuesAt } from '../../models/vdsm/schedules.ts'
import { resumeTrainer, sizeOfShape, startTrainer, type Executable, type LoadOptions, type Programs, type Saved, type Trainer } from '../browser.ts'
import { batchInto, heldOutFrames, openPictures } from './data.ts'
import type { Loss, Pictures, Settings } from './messages.ts'
import { swapper } from './swap.ts'

export type Session = {
  /** The device in words. */
  readonly device: string
  /** Trained numbers. */
  readonly parameters: number
  /** Steps that have been begun. */
  readonly steps: () => number
  readonly blank: Pictures
  /** Begins a step and resolves to its loss: before the step is begun that follows after the next few. */
  readonly next: () => Promise<Loss>
  /** The grid of swaps as the model draws it now. */
  readonly pictures: () => Promise<Pictures>
  /** A copy of what training carries, for another session to go on from. Rejects where a number of it is not finite, or the device failed. */
  readonly save: () => Promise<Saved>
  /** Gives back what it holds on its device. */
  readonly close: () => void
}

const NEEDED = ['init', 'trainStep', 'encode', 'decode'] as const

const idOf = (config: string, name: (typeof NEEDED)[number]): string => `vdsm/${config}/frames/${name}`

/** More than this is not for a page to allocate. */
const mostBytes = 2 ** 30

/** The configurations of which a build has all programs that a page needs, and can train. */
export const configsOf = ({ manifest }: Programs): readonly string[] =>
  Object.keys(schedules).filter(config =>
    NEEDED.every(name => manifest.programs.some(({ id, memoryBytes }) => id === idOf(config, name) && memoryBytes < mostBytes)))

/** Loads the programs on a device and starts the parameters, or goes on from a copy of them. Rejects with a `Refusal`. */
export const openSession = async (
  build: Programs, { config, seed, steps }: Omit<Settings, 'device'>, options: LoadOptions, from?: Saved,
): Promise<Session> => {
  const held: Executable[] = []
  const close = (): void => held.splice(0).forEach(program => program.dispose())
  const load = async (name: (typeof NEEDED)[number]): Promise<Executable> => {
    const program = await build.load(idOf(config, name), options)
    held.push(program)
    return program
  }
  // Where the parameters start is a matter of a moment, on any device: there is no need to compile shaders for it.
  const start = async (program: Executable): Promise<Trainer> => (from !== undefined ? resumeTrainer(program, seed, from)
    : startTrainer(await build.load(idOf(config, 'init'), { device: 'wasm', threads: 1 }), program, seed))
  try {
    const program = await load('trainStep')
    const trainer = await start(program)
    const curves = schedules[config].frames
    const data = openPictures()
    const frames = build.manifest.programs.find(({ id }) => id === idOf(config, 'encode'))?.inputs.find(({ path }) => path === 'x')?.shape[0] ?? 1
    const swaps = swapper(heldOutFrames(data, frames, seed), load)
    return {
      device: program.variant,
      parameters: program.program.inputs.filter(({ path }) => path.startsWith('state.params.')).reduce((sum, { shape }) => sum + sizeOfShape(shape), 0),
      steps: trainer.steps,
      blank: swaps.blank,
      next: async () => {
        const step = trainer.steps()
        const metrics = await trainer.next(batchInto(data, program.program, seed, step), valuesAt(curves, step / steps))
        return [step + 1, metrics['loss'] ?? NaN]
      },
      pictures: () => swaps.draw(trainer, curves.temperature(trainer.steps() / steps)),
      save: trainer.save,
      close,
    }
  } catch (error) {
    close()
    throw error
  }
}
