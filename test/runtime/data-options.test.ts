/** From options to a data set's config, and back: what each set knows, what contradicts a record. */
import { Command } from 'commander'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { withDataOptions } from '../../runtime/commands/data-options.ts'
import { DATA_KEYS, DATA_NAMES, DATA_OPTIONS, DataConfig, dataConfig, movedDataConfig, openData } from '../../runtime/data/open.ts'
import { refusal } from './support/arrays.ts'

test('options become a config', () => {
  assert.equal(dataConfig({}), { name: 'pendulum', splitSeed: 0 })
  assert.equal(dataConfig({ data: 'moving-mnist', digits: 2, splitSeed: 3, sequenceFrames: 20 }), { name: 'moving-mnist', splitSeed: 3, digits: 2, frames: 20 })
  assert.equal(dataConfig({ data: 'sprites', dataDir: 'x', frameChoice: 'li-mandt' }), { name: 'sprites', splitSeed: 0, folder: 'x', frameChoice: 'li-mandt' })
  for (const name of DATA_NAMES) assert.is(DataConfig.decode({ name, splitSeed: 0 })._tag, 'Right')
  for (const { record } of DATA_OPTIONS) assert.ok(DATA_KEYS.includes(record))
})

test('what a set does not know, or lacks, is refused', () => {
  const at = (options: Parameters<typeof dataConfig>[0]): string => refusal(() => dataConfig(options)).message
  assert.match(at({ dataDir: 'x' }), /--data-dir means nothing to the data set pendulum, which is generated\n.*Did you mean --data folder or --data sprites or .*\?$/)
  assert.match(at({ data: 'mug', dataDir: 'x', digits: 1 }), /--digits means nothing to the data set mug\n.*--data moving-mnist/)
  for (const data of ['sprites', 'folder', 'mug'] as const) {
    assert.match(at({ data }), new RegExp(`the data set ${data} needs the folder that holds its data\\n.*--data-dir`))
    assert.match(refusal(() => openData({ name: data, splitSeed: 0 })).message, /--data-dir/)
  }
})

test('a recorded config takes a new place, and nothing that contradicts it', () => {
  const recorded = dataConfig({ data: 'sprites', dataDir: 'old' })
  assert.equal(movedDataConfig(recorded, { dataDir: 'new', data: 'sprites', frameChoice: 'paper', splitSeed: 0 }), { ...recorded, folder: 'new' })
  assert.match(refusal(() => movedDataConfig(recorded, { frameChoice: 'li-mandt' })).message,
    /--frame-choice li-mandt contradicts the run that is resumed, which has paper/)
  assert.match(refusal(() => movedDataConfig(recorded, { data: 'pendulum' })).message, /--data pendulum contradicts/)
  assert.match(refusal(() => movedDataConfig(recorded, { digits: 2 })).message, /--digits means nothing to the data set sprites\n {2}Leave --digits out: the run has its data set\./)
  assert.match(refusal(() => movedDataConfig(dataConfig({}), { dataDir: 'x' }, false)).message, /which is generated\n {2}Did you mean --data folder or /)
  assert.match(refusal(() => movedDataConfig(dataConfig({}), { sequenceFrames: 40 })).message,
    /--sequence-frames 40 contradicts the run that is resumed, which has 16/)
})

test('a command line reads them', () => {
  const read = (...words: readonly string[]): unknown =>
    withDataOptions(new Command().exitOverride().configureOutput({ writeErr: () => undefined })).parse(words, { from: 'user' }).opts()
  assert.equal(read(), {})
  assert.equal(read('--data', 'moving-mnist', '--digits', '2', '--split-seed', '7', '--sequence-frames', '20', '--data-dir', 'd', '--frame-choice', 'paper'),
    { data: 'moving-mnist', digits: 2, splitSeed: 7, sequenceFrames: 20, dataDir: 'd', frameChoice: 'paper' })
  assert.throws(() => read('--digits', '3'), /Expected a whole number from 1 to 2/)
  assert.throws(() => read('--data', 'faces'), /Expected pendulum or sprites or/)
})

test.run()
