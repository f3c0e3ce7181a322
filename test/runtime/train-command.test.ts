/** `vdsm train` as it is called: bad options, folders and data sets are refused by name, and nothing is left behind. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { main } from '../../runtime/cli.ts'
import { resumedConfig } from '../../runtime/commands/train-options.ts'
import { parseRunConfig, printRunConfig } from '../../runtime/train/config.ts'
import { right } from '../../runtime/train/task.ts'
import { temporary, toyBuild } from './toy.ts'

const { folder, build } = toyBuild()
const run = join(folder, 'run')
mkdirSync(run)
const recorded = printRunConfig({
  version: 2, config: 'tiny', stages: [1, 2], data: { name: 'pendulum', splitSeed: 0 }, seed: 3, steps: { frames: 10, video: 6 }, checkpointEvery: 4,
  pictureEvery: 5,
})
writeFileSync(join(run, 'config.json'), recorded)

/** Calls `vdsm train` with its words caught. */
const train = async (...args: readonly string[]): Promise<{ readonly code: number; readonly err: string }> => {
  const write = process.stderr.write
  let err = ''
  process.stderr.write = (text: string | Uint8Array) => ((err += String(text)), true)
  try {
    return { code: await main(['train', '--build', build, ...args]), err }
  } finally {
    process.stderr.write = write
  }
}

const refused: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ['an unknown option', ['--step', '3'], 2, /^unknown option '--step'\n {2}Did you mean --steps\? See: vdsm train --help\n$/],
  ['an unknown configuration', ['--config', 'huge'], 2,
    /'--config <name>' argument 'huge' is invalid\. Expected tiny or small or small-16 or paper-sprites or paper-mug/],
  ['an unknown data set', ['--data', 'mnist'], 2, /'mnist' is invalid\. Expected pendulum or sprites/],
  ['a stage that is not there', ['--stage', '3'], 2, /'3' is invalid\. Expected 1 or 2 or both/],
  ['stage 2 from nothing', ['--stage', '2'], 2, /^stage 2 starts from what stage 1 has learnt\n {2}Add --from/],
  ['a start for stage 1', ['--stage', 'both', '--from', run], 2, /^--from is where stage 2 starts, stage 1 starts from nothing/],
  ['a start that is not there', ['--from', join(folder, 'none')], 1, /none: no such file or folder\n {2}Give --from the folder of a run/],
  ['a start without a checkpoint', ['--from', run], 1, /run: the run has no checkpoint of stage 1\n {2}Give --from the folder of a run/],
  ['a start in a folder that is no run', ['--from', folder], 1, /not the folder of a run: it has no config\.json\n {2}Give --from the folder of a run/],
  ['steps of a stage that is not trained', ['--stage', '1', '--steps2', '7'], 2,
    /^--steps2 is the length of stage 2, which is not trained here\n {2}Did you mean --steps\?/],
  ['no steps', ['--steps', '0'], 2, /'0' is invalid\. Expected a whole number of at least 1/],
  ['half a seed', ['--seed', '1.5'], 2, /'1\.5' is invalid\. Expected a whole number from 0/],
  ['a learning rate that is none', ['--lr', '-1'], 2, /'--lr <rate>'/],
  ['a device that is not there', ['--device', 'gpu'], 2, /Expected auto or webgpu or wasm or eager/],
  ['an argument', ['small'], 2, /too many arguments/],
  ['a folder for generated data', ['--data-dir', 'x'], 2, /^--data-dir means nothing to the data set pendulum/],
  ['sprites without a folder', ['--data', 'sprites'], 2, /needs the folder.*\n {2}Add --data-dir FOLDER/],
  ['sprites in a folder that is missing', ['--data', 'sprites', '--data-dir', join(folder, 'none')], 1, /none: there is no such folder\n {2}Give --data-dir/],
  ['a build without the model', ['--config', 'tiny'], 2, /^no program 'vdsm\/tiny\/frames\/trainStep' in the build folder\n {2}Compile VDSM first/],
  ['a run that is not there', ['--resume', join(folder, 'none')], 1, /config\.json: no such file, so this is not the folder of a run/],
  ['another seed for a run that is resumed', ['--resume', run, '--seed', '4'], 2,
    /^--seed 4 contradicts the run that is resumed, which has 3\n {2}Leave --seed out/],
  ['one stage of a run of both', ['--resume', run, '--stage', '1'], 2, /^--stage 1 contradicts the run that is resumed, which trains both stages\n/],
  ['a start for a run that is resumed', ['--resume', run, '--from', run], 2, /^--from .* contradicts the run that is resumed, which has none/],
  ['a learning rate for a run that had none', ['--resume', run, '--lr', '0.1'], 2, /^--lr 0\.1 contradicts the run that is resumed, which has none/],
  ['a shorter stage 1', ['--resume', run, '--steps', '9'], 2,
    /^--steps 9 is less than the 10 steps that the run has recorded for stage 1: it may only grow\n {2}Leave --steps out, or give at least 10; /],
  ['a shorter stage 2', ['--resume', run, '--steps2', '5'], 2, /^--steps2 5 is less than the 6 steps that the run has recorded for stage 2/],
]
for (const [name, args, code, expected] of refused) {
  test(`refused: ${name}`, async () => {
    const result = await train(...args, ...(args.includes('--resume') ? [] : ['--out', join(folder, 'new')]))
    assert.match(result.err, expected)
    assert.is(result.code, code)
    assert.not(existsSync(join(folder, 'new')))
    assert.is(readFileSync(join(run, 'config.json'), 'utf8'), recorded)
  })
}

test('the length of a stage that the run has not recorded as its own is free; the others may grow', () => {
  const config = right(parseRunConfig(recorded, 'config.json'))
  assert.equal(resumedConfig(config, { build, steps: 12, steps2: 6 }).steps, { frames: 12, video: 6 })
  assert.equal(resumedConfig({ ...config, stages: [1] }, { build, stage: 'both', steps2: 2 }).steps, { frames: 10, video: 2 })
})

test('a run of an earlier version is refused, and says so', async () => {
  const old = temporary()
  writeFileSync(join(old, 'config.json'), '{ "version": 1, "config": "tiny", "stage": 1, "steps": 10 }')
  assert.match((await train('--resume', old)).err, /config\.json: the run was begun by an earlier version, which trained one stage only\n {2}Start a new run/)
})

test('a config.json that cannot be read, or has an unknown key, is refused by name', async () => {
  const other = temporary()
  writeFileSync(join(other, 'config.json'), recorded.replace('"steps"', '"stepz"'))
  assert.match((await train('--resume', other)).err, /config\.json: unknown key 'stepz'\n {2}Remove or rename it/)
  writeFileSync(join(other, 'config.json'), recorded.replace('"stages": [\n    1,\n    2\n  ]', '"stages": [2]'))
  assert.match((await train('--resume', other)).err, /config\.json: from: expected the checkpoint of stage 1 that stage 2 starts from, found nothing/)
  writeFileSync(join(other, 'config.json'), recorded.replace('"stages": [\n    1,\n    2\n  ]', '"stages": [2, 1]'))
  assert.match((await train('--resume', other)).err, /config\.json: stages: expected \[1, 2\], \[1\] or \[2\], found \[2,1\]/)
  const strange = temporary()
  mkdirSync(join(strange, 'config.json'))
  const { code, err } = await train('--resume', strange)
  assert.match(err, /config\.json: it is a folder, not a file\n$/)
  assert.is(code, 1)
  assert.equal(readdirSync(strange), ['config.json'])
})

test.run()
