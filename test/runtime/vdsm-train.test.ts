/** The whole way, as a user goes it: VDSM's `tiny` programs compiled from source, trained by the bin, killed and resumed. */
import * as E from 'fp-ts/lib/Either.js'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { PNG } from 'pngjs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../compiler/compile.ts'
import { print } from '../../dsl/errors.ts'
import { main } from '../../runtime/cli.ts'

const bin = resolve('runtime/vdsm.mjs')
const folder = mkdtempSync(join(tmpdir(), 'vdsm-whole-'))
test.after(() => rmSync(folder, { recursive: true, force: true }))

const vdsm = (...args: readonly string[]) => spawnSync(process.execPath, [bin, ...args], { encoding: 'utf8', cwd: folder })
const train = (...args: readonly string[]): string => {
  const { status, stdout, stderr } = vdsm('train', ...args)
  assert.is(status, 0, stderr)
  return stdout
}

const steps = ['--config', 'tiny', '--steps', '40', '--checkpoint-every', '10', '--picture-every', '20']

/** The lines of metrics.jsonl without their times. */
const metrics = (run: string): readonly unknown[] =>
  readFileSync(join(folder, run, 'metrics.jsonl'), 'utf8').trim().split('\n').map(text => ({ ...JSON.parse(text), milliseconds: 0 }) as unknown)

const names = (run: string, part: string): readonly string[] => readdirSync(join(folder, run, part)).sort()

/** A checkpoint's header, without the source's revision (others may commit meanwhile), and its bytes. */
const checkpoint = (run: string, name: string): readonly [unknown, Buffer] => {
  const bytes = readFileSync(join(folder, run, 'checkpoints', name))
  const start = 8 + Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as { __metadata__: Record<string, string> }
  return [{ ...header, __metadata__: { ...header.__metadata__, revision: '' } }, bytes.subarray(start)]
}

const same = (a: string, b: string): void => {
  assert.equal(names(b, '.'), names(a, '.'))
  assert.equal(names(b, 'checkpoints'), names(a, 'checkpoints'))
  for (const name of names(a, 'checkpoints')) {
    const [[header, data], [other, bytes]] = [checkpoint(a, name), checkpoint(b, name)]
    assert.equal(other, header)
    assert.is(Buffer.compare(data, bytes), 0, `${name} of ${b}`)
  }
  assert.equal(metrics(b), metrics(a))
  assert.equal(names(b, 'pictures'), names(a, 'pictures'))
  for (const name of names(a, 'pictures')) {
    assert.is(Buffer.compare(readFileSync(join(folder, a, 'pictures', name)), readFileSync(join(folder, b, 'pictures', name))), 0, `${name} of ${b}`)
  }
}

test('a run of the compiled model: metrics, checkpoints, pictures', async () => {
  const result = await compile({ files: [resolve('models/vdsm/tiny.ts')], root: resolve('models'), out: join(folder, 'build'), force: false, onBuilt: () => undefined })
  if (E.isLeft(result)) return assert.unreachable(print(result.left))
  // So small that no second thread would be of use to them.
  const manifest = join(folder, 'build', 'manifest.json')
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replaceAll(/"threads": \d+/g, '"threads": 8'))
  assert.match(train(...steps, '--threads', '1', '--out', 'straight'), /^Trained to step 40 /)
  assert.equal(names('straight', '.'), ['checkpoints', 'config.json', 'metrics.jsonl', 'pictures', 'revision.txt'])
  assert.equal(names('straight', 'checkpoints'), [20, 30, 40].map(n => `step-000000${n}.safetensors`))
  assert.equal(names('straight', 'pictures'), ['loss.png', ...['reconstruction', 'swap'].flatMap(kind => [20, 40].map(n => `${kind}-000000${n}.png`))])
  for (const name of names('straight', 'pictures')) {
    const { width, height, data } = PNG.sync.read(readFileSync(join(folder, 'straight', 'pictures', name)))
    assert.ok(width >= 64 && height >= 64, name)
    assert.ok(new Set(data.filter((_, i) => i % 4 < 3)).size > 2, `${name} shows something`)
  }
  const lines = metrics('straight') as readonly Readonly<Record<string, number>>[]
  assert.is(lines.filter(line => 'loss' in line).length, 40)
  assert.is(lines.filter(line => 'heldOut.elbo' in line).length, 2)
  assert.ok(lines.every(line => Object.values(line).every(Number.isFinite)))
})

for (const threads of ['2', '3']) {
  test(`${threads} threads arrive at the same bytes, and the run says what it ran on`, () => {
    const { status, stderr } = vdsm('train', ...steps, '--threads', threads, '--out', `threads-${threads}`)
    assert.is(status, 0, stderr)
    assert.match(stderr, new RegExp(`, wasm, .*, ${threads} threads\n`))
    assert.is((JSON.parse(readFileSync(join(folder, `threads-${threads}`, 'config.json'), 'utf8')) as { readonly threads?: number }).threads, Number(threads))
    same('straight', `threads-${threads}`)
  })
}

test('taken up again at an older checkpoint it arrives at the same bytes', () => {
  train(...steps, '--out', 'parts')
  for (const name of names('parts', 'checkpoints').slice(1)) rmSync(join(folder, 'parts', 'checkpoints', name))
  for (const name of names('parts', 'pictures')) if (!name.includes('20')) rmSync(join(folder, 'parts', 'pictures', name))
  train('--resume', 'parts')
  same('straight', 'parts')
})

test('the eager device trains, saves and draws as well, on the same numbers but for rounding', () => {
  train('--config', 'tiny', '--steps', '2', '--device', 'eager', '--out', 'eager')
  assert.equal(names('eager', 'checkpoints'), ['step-00000002.safetensors'])
  assert.equal(names('eager', 'pictures'), ['loss.png', 'reconstruction-00000002.png', 'swap-00000002.png'])
  const first = (run: string): number => (metrics(run)[0] as Readonly<Record<string, number>>)['loss'] ?? NaN
  assert.ok(Math.abs(first('eager') / first('straight') - 1) < 1e-5, `${first('eager')} and ${first('straight')}`)
})

test('a state that went wrong in its own place is neither saved nor drawn, and what was saved before is whole', () => {
  const { status, stderr } = vdsm('train', ...steps, '--checkpoint-every', '1', '--picture-every', '1', '--lr', '30', '--out', 'wrong')
  assert.is(status, 1)
  const [, step = ''] = /\nstep (\d+): \w+ is (?:NaN|Infinity)\n {2}The last good checkpoint is kept: /.exec(stderr) ?? []
  const last = Number(step) - 1
  assert.ok(last > 0, stderr)
  const name = (n: number): string => `step-${String(n).padStart(8, '0')}.safetensors`
  assert.is(names('wrong', 'checkpoints').at(-1), name(last))
  const [, data] = checkpoint('wrong', name(last))
  for (let at = 0; at < data.length; at += 4) assert.ok(Number.isFinite(data.readFloatLE(at)), `byte ${at}`)
  assert.is(metrics('wrong').length, 2 * last)
  assert.is(names('wrong', 'pictures').filter(each => each.startsWith('swap')).length, last)
  assert.match(vdsm('train', '--resume', 'wrong').stderr, new RegExp(`\nstep ${step}: `))
})

test('a build that is replaced while a run goes on does not disturb it', async () => {
  const [build, away, write] = [join(folder, 'build'), join(folder, 'away'), process.stderr.write]
  // The first words of a run come once its programs are read and before one is needed.
  process.stderr.write = () => {
    if (existsSync(build)) renameSync(build, away)
    return true
  }
  const [out, said] = [join(folder, 'undisturbed'), process.stdout.write]
  process.stdout.write = () => true
  try {
    assert.is(await main(['train', ...steps, '--build', build, '--out', out]), 0)
  } finally {
    process.stderr.write = write
    process.stdout.write = said
  }
  assert.not(existsSync(build))
  renameSync(away, build)
  same('straight', 'undisturbed')
})

for (const [signal, expected] of [['SIGKILL', null], ['SIGINT', 130]] as const) {
  test(`ended by ${signal} at any moment it is taken up again, and arrives at the same bytes`, async () => {
    const out = `by-${signal}`
    const child = spawn(process.execPath, [bin, 'train', ...steps, '--threads', '3', '--out', out], { cwd: folder, stdio: 'ignore', timeout: 60_000, killSignal: 'SIGTERM' })
    const gone = new Promise<number | null>(done => child.on('exit', done))
    const started = join(folder, out, 'metrics.jsonl')
    while (child.exitCode === null && !(existsSync(started) && readFileSync(started, 'utf8').split('\n').length > 12)) await new Promise(done => setTimeout(done, 1))
    child.kill(signal)
    assert.is(await gone, expected)
    const resumed = vdsm('train', '--resume', out)
    assert.is(resumed.status, 0, resumed.stderr)
    assert.match(resumed.stderr, /, 3 threads\n/)
    same('straight', out)
  })
}

test.run()
