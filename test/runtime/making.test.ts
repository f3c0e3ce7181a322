/**
 * `vdsm generate`, `transfer`, `continue` and `reconstruct` as a user calls them, on a tiny model: what is written, that it can
 * be read again, and every refusal.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { PNG } from 'pngjs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { main } from '../../runtime/cli.ts'
import { FRAME } from '../../runtime/data/dataset.ts'
import { pendulum } from '../../runtime/data/pendulum.ts'
import { encodeGif } from '../../runtime/io/gif.ts'
import { parseNpz, type FileArrays } from '../../runtime/io/npz.ts'
import { readVideo } from '../../runtime/io/video.ts'
import { framesOf } from '../../runtime/infer/pictures.ts'
import { checkpointOf, compileTiny, makeTinyRun, startTiny } from './support/tiny-model.ts'
import { temporary } from './toy.ts'

const folder = temporary()
const at = (...parts: readonly string[]): string => join(folder, ...parts)
const build = await compileTiny(at('build'))
const arrays = await startTiny(build)
const [older, newer] = [at('runs', 'older'), at('runs', 'newer')]
for (const run of [older, newer]) {
  makeTinyRun(run)
  writeFileSync(join(run, 'checkpoints', 'stage2-step-00000020.safetensors'), checkpointOf(arrays, 2, 20))
}
utimesSync(join(older, 'config.json'), 1e9, 1e9)
writeFileSync(join(newer, 'pictures', 'CREDITS.txt'), 'Drawn by somebody.\n')

const clip = (frames: number, seed: number): Float32Array =>
  pendulum({ splitSeed: 0, frames: 40 }).batch({ split: 'heldOut', groups: 1, frames, seed, step: 0, order: 'sequence' }).x
writeFileSync(at('a.gif'), encodeGif(framesOf(clip(8, 1)), { side: 64, scale: 2 }))
mkdirSync(at('b'))
framesOf(clip(4, 2)).forEach((frame, t) => {
  const png = new PNG({ width: 70, height: 64 })
  png.data.fill(255)
  for (let i = 0; i < 4096; i++) for (let c = 0; c < 3; c++) png.data[((i >> 6) * 70 + (i & 63) + 3) * 4 + c] = Math.round(255 * (frame[c * 4096 + i] ?? 0))
  writeFileSync(at('b', `${t + 8}.png`), PNG.sync.write(png))
})
writeFileSync(at('c.png'), readFileSync(at('b', '8.png')))

type Result = { readonly code: number; readonly out: string; readonly err: string }

/** Calls the command line in this process, in the folder, with its output caught. */
const vdsm = async (...args: readonly string[]): Promise<Result> => {
  const [home, stdout, stderr] = [process.cwd(), process.stdout.write, process.stderr.write]
  const caught = { out: '', err: '' }
  const into = (name: 'out' | 'err') => (text: string | Uint8Array, done?: unknown): boolean => {
    caught[name] += String(text)
    if (typeof done === 'function') done()
    return true
  }
  process.chdir(folder)
  process.stdout.write = into('out')
  process.stderr.write = into('err')
  try {
    return { code: await main(args), ...caught }
  } finally {
    process.stdout.write = stdout
    process.stderr.write = stderr
    process.chdir(home)
  }
}
const made = async (...args: readonly string[]): Promise<string> => {
  const { code, out, err } = await vdsm(...args)
  assert.equal([code, err], [0, ''])
  return out
}
const npz = (...parts: readonly string[]): FileArrays => {
  const read = parseNpz(new Uint8Array(readFileSync(at(...parts))), 'npz')
  if (read._tag === 'Left') throw new Error('not readable')
  return read.right
}
const shapesOf = (file: FileArrays) => Object.fromEntries([...file].map(([name, { shape }]) => [name, shape]))
const names = (path: string): readonly string[] => readdirSync(at(path)).sort()
const gif = (...parts: readonly string[]): readonly number[] => {
  const { frames, width, height } = readVideo(at(...parts))
  return [frames, width, height]
}
const sizeOf = (...parts: readonly string[]): readonly number[] => {
  const { width, height } = PNG.sync.read(readFileSync(at(...parts)))
  return [width, height]
}

test('generate: a video of the newest run, with its credits; the same again replaces it with the same bytes', async () => {
  const out = await made('generate', '--frames', '5')
  assert.match(out, /^made\/generate: generate\.json, generate\.gif, generate\.png, generate\.npz, CREDITS\.txt\n {2}a video of 5 frames, from .*newer.*stage2-step-00000020\.safetensors \(wasm, .*\)\n$/)
  assert.equal(names('made/generate'), ['CREDITS.txt', 'generate.gif', 'generate.json', 'generate.npz', 'generate.png'])
  assert.equal(shapesOf(npz('made', 'generate', 'generate.npz')), { x: [5, 3, 64, 64], s: [2], d: [2], z: [5, 3] })
  assert.equal([gif('made', 'generate', 'generate.gif'), sizeOf('made', 'generate', 'generate.png')], [[5, 128, 128], [5 * 66 + 2, 68]])
  assert.is(readFileSync(at('made', 'generate', 'CREDITS.txt'), 'utf8'), 'Drawn by somebody.\n')
  const files = (): readonly Buffer[] => names('made/generate').map(name => readFileSync(at('made', 'generate', name)))
  const before = files()
  await made('generate', '--frames', '5')
  assert.equal(files(), before)
})

test('several videos: seeds that follow one another, a grid, a row each', async () => {
  await made('generate', older, '--frames', '20', '--count', '3', '--seed', '4', '--scale', '1', '--out', 'many')
  assert.equal(names('many'), ['generate.gif', 'generate.json', 'generate.npz', 'generate.png'])
  const many = npz('many', 'generate.npz')
  assert.equal(shapesOf(many), { x: [3, 20, 3, 64, 64], s: [3, 2], d: [3, 2], z: [3, 20, 3] })
  assert.equal(gif('many', 'generate.gif'), [20, 2 * 66 + 2, 2 * 66 + 2])
  // Sixteen frames a line: two lines of three rows, the second further down.
  assert.equal(sizeOf('many', 'generate.png'), [16 * 66 + 2, 6 * 66 + 2 + 3])
  await made('generate', older, '--frames', '20', '--seed', '6', '--out', 'one')
  assert.equal([...npz('one', 'generate.npz').get('x')!.data], [...many.get('x')!.data.slice(2 * 20 * FRAME)])
})

test('transfer: an image as the action gives one frame, and that is said', async () => {
  const { code, out, err } = await vdsm('transfer', '--identity', 'a.gif', '--action', 'c.png', '--out', 'still')
  assert.equal([code, err], [0, 'The action is one image, so the result is one frame.\n'])
  assert.match(out, /\n {2}1 frame \(/)
})

test('transfer: identity, action and result side by side; what is written can be an input again', async () => {
  assert.match(await made('transfer', '--identity', 'c.png', '--action', 'a.gif'),
    /made\/transfer: .*\n {2}8 frames \(in the pictures: identity, action, result\)/)
  assert.equal(shapesOf(npz('made', 'transfer', 'transfer.npz')),
    { x: [8, 3, 64, 64], s: [2], d: [2], z: [8, 3], identity: [1, 3, 64, 64], action: [8, 3, 64, 64] })
  assert.equal([gif('made', 'transfer', 'transfer.gif'), sizeOf('made', 'transfer', 'transfer.png')], [[8, 3 * 130 + 2, 132], [8 * 66 + 2, 3 * 66 + 2]])
  const about: unknown = JSON.parse(readFileSync(at('made', 'transfer', 'transfer.json'), 'utf8'))
  assert.is((about as { readonly identity: string }).identity, 'c.png')
  await made('transfer', '--identity', 'made/transfer/transfer.npz', '--action', 'b', '--out', 'again')
  assert.equal(shapesOf(npz('again', 'transfer.npz'))['x'], [4, 3, 64, 64])
  const shown = npz('again', 'transfer.npz').get('identity')?.data ?? []
  const was = npz('made', 'transfer', 'transfer.npz').get('x')?.data ?? []
  // By way of bytes: half a step of 1/255.
  assert.ok(Array.from(shown).every((v, i) => Math.abs(v - (was[i] ?? NaN)) < 0.501 / 255))
})

test('continue: from a folder of frames, and from one image; 1 and 40 frames', async () => {
  assert.match(await made('continue', '--from', 'b', '--frames', '40'), /40 frames after b \(in the pictures: with an orange edge\)/)
  const long = npz('made', 'continue', 'continue.npz')
  assert.equal(shapesOf(long), { x: [40, 3, 64, 64], s: [2], d: [2], z: [40, 3], input: [4, 3, 64, 64] })
  assert.equal([gif('made', 'continue', 'continue.gif'), sizeOf('made', 'continue', 'continue.png')], [[44, 132, 132], [16 * 66 + 2, 3 * 66 + 2]])
  const edges = readVideo(at('made', 'continue', 'continue.gif'))
  const edge = (t: number): readonly number[] => [...edges.data.slice(t * 132 * 132 * 3, t * 132 * 132 * 3 + 3)]
  assert.not.equal(edge(3), edge(4), 'what the model made has an edge of another colour')
  assert.match(await made('continue', '--from', 'c.png', '--frames', '1', '--out', 'next'), /1 frame after an image/)
  assert.equal(shapesOf(npz('next', 'continue.npz'))['x'], [1, 3, 64, 64])
  assert.equal(gif('next', 'continue.gif'), [2, 132, 132])
})

test('reconstruct: the input beside what the model makes of it', async () => {
  assert.match(await made('reconstruct', '--from', 'a.gif', '--fps', '4'), /8 frames .*mean difference \d+\.\d of 255/)
  const file = npz('made', 'reconstruct', 'reconstruct.npz')
  assert.equal(shapesOf(file), { x: [8, 3, 64, 64], s: [2], d: [2], z: [8, 3], input: [8, 3, 64, 64] })
  const original = clip(8, 1)
  // The GIF of a pendulum is exact (few colours), and was read through bytes.
  assert.ok(Array.from(file.get('input')?.data ?? []).every((v, i) => Math.abs(v - (original[i] ?? NaN)) < 0.501 / 255))
})

test('nothing of others is replaced: not without --force', async () => {
  mkdirSync(at('mine'))
  writeFileSync(at('mine', 'generate.gif'), 'precious')
  writeFileSync(at('mine', 'notes.txt'), 'mine')
  const { code, err } = await vdsm('generate', '--out', 'mine')
  assert.match(err, /^cannot write mine\/generate\.gif: it is there already, and was not made by vdsm generate.*\n {2}Give --out another folder, or replace it with --force\.\n$/)
  assert.equal([code, names('mine'), readFileSync(at('mine', 'generate.gif'), 'utf8')], [1, ['generate.gif', 'notes.txt'], 'precious'])
  await made('generate', '--out', 'mine', '--force')
  assert.equal(gif('mine', 'generate.gif'), [3, 128, 128])
  assert.is(readFileSync(at('mine', 'notes.txt'), 'utf8'), 'mine')
  writeFileSync(at('mine', 'CREDITS.txt'), 'somebody else')
  assert.match((await vdsm('generate', '--out', 'mine')).err, /mine\/CREDITS\.txt: it is there already/)
  await made('generate', '--out', 'mine', '--force')
})

const wrong = join(folder, 'runs', 'older', 'checkpoints', 'stage1-step-00000001.safetensors')
writeFileSync(wrong, checkpointOf(arrays, 1, 1))
writeFileSync(at('short.gif'), encodeGif(framesOf(clip(2, 1)), { side: 64 }))
writeFileSync(at('cut.gif'), readFileSync(at('a.gif')).subarray(0, -50))

const refused: readonly (readonly [name: string, args: readonly string[], code: number, expected: RegExp])[] = [
  ['no identity', ['transfer', '--action', 'a.gif'], 2, /required option '--identity <file>' not specified/],
  ['no video', ['continue'], 2, /required option '--from <file>' not specified/],
  ['no frames', ['generate', '--frames', '0'], 2, /Expected a whole number of at least 1/],
  ['a spread below 0', ['generate', '--spread', '-1'], 2, /Expected a number of at least 0/],
  ['a GIF too fast to play', ['generate', '--fps', '100'], 2, /option --fps: a GIF plays 0\.01 to 50/],
  ['more frames than are made', ['generate', '--frames', '1000', '--count', '50'], 1, /50000 frames are asked for; 4096/],
  ['a GIF too large to make', ['generate', '--frames', '200', '--scale', '16'], 1, /the GIF: 200 frames, enlarged 16 times/],
  ['an unknown option', ['generate', '--frame', '2'], 2, /unknown option '--frame'\n {2}Did you mean --frames\? See: vdsm generate --help/],
  ['a device that is not there', ['generate', '--device', 'gpu'], 2, /Expected auto or webgpu or wasm or eager/],
  ['threads of the eager device', ['generate', '--device', 'eager', '--threads', '2'], 2, /the eager device runs on one thread/],
  ['a run that is not there', ['generate', 'runs/none'], 1, /runs\/none: no such folder/],
  ['a checkpoint of stage 1', ['generate', wrong], 1, /vdsm train --stage 2/],
  ['a video that is not there', ['continue', '--from', 'none.gif'], 1, /none\.gif: no such file\n {2}A video is a GIF/],
  ['a video that is cut off', ['reconstruct', '--from', 'cut.gif'], 1, /not a readable GIF: it is cut off/],
  ['a video that is too short', ['transfer', '--identity', 'c.png', '--action', 'short.gif'], 1,
    /it has 2 frames; this model reads one frame \(an image\), or at least 3/],
  ['a file in the place of the folder', ['generate', '--out', 'a.gif'], 1, /cannot write a\.gif: it is a file, not a folder/],
  ['a build that is not there', ['generate', '--build', 'none'], 1, /Compile first/],
]
for (const [name, args, code, expected] of refused) {
  test(`refused, and nothing is written: ${name}`, async () => {
    const result = await vdsm(...args, ...(args.includes('--out') ? [] : ['--out', 'refused']))
    assert.match(result.err, expected)
    assert.equal([result.code, result.out], [code, ''])
    assert.not(existsSync(at('refused')))
  })
}

test('where there is no run at all, the way to one is named', async () => {
  const other = temporary()
  const home = process.cwd()
  const { status, stderr } = spawnSync(process.execPath, [resolve('runtime/vdsm.mjs'), 'generate'], { cwd: other, encoding: 'utf8' })
  assert.is(process.cwd(), home)
  assert.equal([status, stderr], [1 + 1, 'there is no run in runs/\n  Train one with: vdsm train; or give the folder of a run that lies elsewhere.\n'])
  rmSync(other, { recursive: true })
})

test('help says what is taken and what is written', async () => {
  for (const command of ['generate', 'transfer', 'continue', 'reconstruct']) {
    const { code, out } = await vdsm(command, '--help')
    assert.is(code, 0)
    assert.match(out, new RegExp(`^Usage: vdsm ${command} \\[options\\] \\[run\\]\n`))
    assert.match(out, new RegExp(`made/${command}`))
  }
})

test.run()
