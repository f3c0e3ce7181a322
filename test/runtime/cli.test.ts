/**
 * The command line as a user meets it, on a build made by hand: exit codes, output and refusals. The whole way through the
 * bin is walked in child processes; most cases run in this one, where they start quickly.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Rates } from '../../runtime/device/rates.ts'
import type { Outgoing } from '../../runtime/io/npy.ts'
import type { Profile } from '../../runtime/measure/profile.ts'
import { main } from '../../runtime/cli.ts'
import { parseNpz, printNpz } from '../../runtime/io/npz.ts'
import { printSafetensors } from '../../runtime/io/safetensors.ts'
import { temporary, toyBuild } from './toy.ts'

const bin = resolve('runtime/vdsm.mjs')

type Result = { readonly code: number | null; readonly out: string; readonly err: string }

/** Calls the command line in this process, in that folder, with its output caught. */
const vdsm = async (folder: string, args: readonly string[]): Promise<Result> => {
  const [home, stdout, stderr] = [process.cwd(), process.stdout.write, process.stderr.write]
  const caught = { out: '', err: '' }
  const into = (name: 'out' | 'err') => (text: string | Uint8Array, done?: unknown): boolean => {
    caught[name] += typeof text === 'string' ? text : new TextDecoder().decode(text)
    if (typeof done === 'function') done()
    return true
  }
  process.chdir(folder)
  process.stdout.write = into('out')
  process.stderr.write = into('err')
  try {
    const code = await main(args)
    return { code, ...caught }
  } finally {
    process.stdout.write = stdout
    process.stderr.write = stderr
    process.chdir(home)
  }
}

const spawned = (folder: string, args: readonly string[], program = bin): Result => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { cwd: folder, encoding: 'utf8' })
  return { code: status, out: stdout, err: stderr }
}

const f32 = (...data: readonly number[]): Outgoing => ({ shape: [data.length], dtype: 'f32', data })
const rest = { x: f32(10, 20), flags: { shape: [2], dtype: 'bool', data: [0, 1] } } as const satisfies Record<string, Outgoing>
const npz = (path: string, arrays: Readonly<Record<string, Outgoing>>): void => writeFileSync(path, printNpz(new Map(Object.entries(arrays))))

/** A folder with a build, in.npz without the state, and p.safetensors with it. */
const ground = (): string => {
  const { folder } = toyBuild()
  npz(join(folder, 'in.npz'), rest)
  writeFileSync(join(folder, 'p.safetensors'), Buffer.concat(printSafetensors(new Map([['state.w', f32(1, 2)], ['unused.m', f32(0)]]))))
  return folder
}

const usual = ['run', 'toy/step', '--inputs', 'in.npz', '--params', 'p.safetensors', '--seed', '4294967297', '--out', 'out.npz']

for (const device of ['wasm', 'eager']) {
  test(`run on ${device}: parameters from one file, inputs from another, the key from a seed`, async () => {
    const folder = ground()
    const result = spawned(folder, [...usual, '--device', device])
    assert.equal([result.code, result.err], [0, ''])
    assert.match(result.out, /^out\.npz: 3 arrays from toy\/step/)
    const read = parseNpz(new Uint8Array(readFileSync(join(folder, 'out.npz'))), 'out.npz')
    const arrays = read._tag === 'Right' ? [...read.right].map(([name, { data }]) => [name, [...data]]) : read.left
    assert.equal(arrays, [['state.w', [11, 22]], ['bits', [1, 1]], ['flags', [0, 1]]])
  })
}

test('names in a parameter file may leave the parameter out, or be those of the whole state', async () => {
  const folder = ground()
  for (const name of ['w', 'run.state.w']) {
    writeFileSync(join(folder, 'p.safetensors'), Buffer.concat(printSafetensors(new Map([[name, f32(1, 2)]]))))
    assert.is((await vdsm(folder, usual)).code, 0, name)
  }
})

test('results can be parameters of the next run', async () => {
  const folder = ground()
  assert.is((await vdsm(folder, [...usual.slice(0, -1), 'out.safetensors'])).code, 0)
  assert.is((await vdsm(folder, ['run', 'toy/step', '--inputs', 'in.npz', '--params', 'out.safetensors', '--seed', '1', '--out', 'again.npz'])).code, 1,
    'flags are in both')
  npz(join(folder, 'in.npz'), { x: rest.x })
  assert.is((await vdsm(folder, ['run', 'toy/step', '--inputs', 'in.npz', '--params', 'out.safetensors', '--seed', '1', '--out', 'again.npz'])).code, 0)
})

const refused: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ['missing arrays, before anything runs', ['run', 'toy/step', '--inputs', 'in.npz', '--out', 'out.npz'], 1,
    /state\.w: missing, expected float32\[2\]\n {2}key: missing, expected uint32\[2\]; or give --seed N\n {2}Give the parameters by --params CHECKPOINT, .*\n {2}It takes: /],
  ['an unknown option', [...usual, '--sed', '3'], 2, /^unknown option '--sed'\n {2}Did you mean --seed\? See: vdsm run --help/],
  ['a bad value', ['run', 'toy/step', '--out', 'o.npz', '--seed', '1.5'], 2, /'--seed <n>' argument '1\.5' is invalid\. Expected a whole number/],
  ['a device of pages', [...usual, '--device', 'webgl'], 2, /WebGL is in pages, not in Node: vdsm studio runs programs on it\. Here there are auto, webgpu, wasm, eager\./],
  ['a device that does not exist', [...usual, '--device', 'gpu'], 2, /Expected auto or webgpu or wasm or eager/],
  ['no --out', ['run', 'toy/step'], 2, /required option '--out <file>' not specified/],
  ['an unknown format', ['run', 'toy/step', '--out', 'out.csv'], 2, /--out: out\.csv is neither an \.npz nor a \.safetensors file/],
  ['an unknown program', ['run', 'toy/stop', '--out', 'out.npz'], 2, /no program 'toy\/stop' in the build folder\n {2}Did you mean: toy\/step/],
  ['an unknown command', ['rnu'], 2, /unknown command 'rnu'\n {2}Did you mean run\?/],
  ['a command that objects inherit', ['constructor'], 2, /^unknown command 'constructor'\n/],
  ['a superfluous argument', ['list', 'x', 'y'], 2, /too many arguments/],
  ['a missing output folder', [...usual.slice(0, -1), 'none/out.npz'], 1,
    /cannot write none\/out\.npz: the folder .*none does not exist\n {2}Create it first: mkdir -p/],
  ['a missing build', ['list', '--build', 'none'], 1, /none\/manifest\.json: no such file\n {2}Compile first/],
  ['a missing input file', [...usual.slice(0, 3), 'none.npz', '--out', 'out.npz'], 1, /^none\.npz: no such file/],
]
const shared = ground()
for (const [name, args, code, expected] of refused) {
  test(`refused: ${name}`, async () => {
    const result = await vdsm(shared, args)
    assert.match(result.err, expected)
    assert.equal([result.code, result.out], [code, ''])
    assert.not(existsSync(join(shared, 'out.npz')))
  })
}

test('corrupt files are refused and results of old stay', async () => {
  const folder = ground()
  writeFileSync(join(folder, 'out.npz'), 'precious')
  writeFileSync(join(folder, 'p.safetensors'), readFileSync(join(folder, 'p.safetensors')).subarray(0, -3))
  const result = await vdsm(folder, usual)
  assert.match(result.err, /^p\.safetensors: truncated: tensor unused\.m ends at byte 12 of the data, 9 are there/)
  assert.is(result.code, 1)
  assert.is(readFileSync(join(folder, 'out.npz'), 'utf8'), 'precious')
  writeFileSync(join(folder, 'build', 'manifest.json'), '{')
  assert.match((await vdsm(folder, ['list'])).err, /^build\/manifest\.json: not valid JSON/)
})

test('a key comes from one place', async () => {
  const folder = ground()
  writeFileSync(join(folder, 'p.safetensors'), Buffer.concat(printSafetensors(new Map<string, Outgoing>([['state.w', f32(1, 2)], ['key', { shape: [2], dtype: 'u32', data: [0, 1] }]]))))
  const { code, err } = await vdsm(folder, usual)
  assert.match(err, /^option --seed: the files hold a key already\n {2}Give one of the two\./)
  assert.is(code, 2)
})

test('the exit code is that of the command, whatever the process has noted for itself', async () => {
  const before = process.exitCode
  process.exitCode = 3
  const { code } = await vdsm(shared, ['list'])
  process.exitCode = before
  assert.is(code, 0)
})

test('list: for people and for programs', async () => {
  const { code, out } = await vdsm(shared, ['list', '--arrays'])
  assert.is(code, 0)
  assert.match(out, /^toy\/step {2}\(toy\.ts:1\)\n {2}\(state: .*\n {2}N=2\n {2}2 kernels, 2 FLOP a call, 56 B of memory, 4 arrays in, 3 out\n {2}takes\n {4}state\.w {2}f32\[2\]\n/)
  assert.is((await vdsm(shared, ['list', 'nothing'])).out, "build holds no programs with 'nothing' in their id.\n")
  const parsed: unknown = JSON.parse((await vdsm(shared, ['list', '--json'])).out)
  assert.ok(Array.isArray(parsed) && parsed.length === 1)
})

test('bench: a report with the measured rates, the floor, and each step', async () => {
  const { code, out } = await vdsm(shared, ['bench', 'toy/step', '--seconds', '0.05', '--profile'])
  assert.is(code, 0)
  assert.match(out, /median .* ms, min .* ms of \d+ calls\n.*% of this machine's peak of .* GFLOP\/s \(measured now, 1 thread\)\n {2}floor .* ms, gap .*: at .* GFLOP\/s of a packed product, .* GB\/s of memory, .* GB\/s within the caches\n {2}2 kernels a call \(3 before fusion\), 2 FLOP, 56 B moved, 64\.0 KiB of memory\n/)
  assert.match(out, /s0 add +toy\.ts:2:1/)
  assert.match(out, /all steps\n\n {2}the 2 steps that lose most: 100% of the time beyond the floor\n/)
  assert.ok(out.split('\n').slice(4).every(line => line.length <= 120))
  const report: unknown = JSON.parse((await vdsm(shared, ['bench', 'toy/step', '--seconds', '0.05', '--json', '--profile'])).out)
  const { medianMs, minMs, flops, gflops, peakShare, kernels, kernelsBeforeFusion, floorMs, gap } = report as Readonly<Record<string, number>>
  const { rates, profile } = report as { rates: Rates; profile: Profile }
  assert.equal(Object.keys(report as object).sort(), ['bytes', 'floorMs', 'flops', 'gap', 'gflops', 'kernels', 'kernelsBeforeFusion', 'medianMs', 'memoryBytes', 'minMs', 'peakShare', 'profile', 'program', 'rates', 'runs', 'variant'])
  for (const step of profile.steps) assert.equal(Object.keys(step).sort(), ['bound', 'floorMs', 'gap', 'gflops', 'kernels', 'lostMs', 'lostShare', 'medianMs', 'ms', 'places', 'share', 'step'])
  assert.ok(rates.peakGflops > 0.5 && rates.productGflops > 0.2 && rates.farGBs > 0.05 && rates.nearGBs > 0.05 && minMs! > 0 && minMs! <= medianMs!)
  assert.equal([flops, kernels, kernelsBeforeFusion, rates.threads], [2, 2, 3, 1])
  assert.equal([gflops, peakShare, gap], [2 / medianMs! / 1e6, gflops! / rates.peakGflops, medianMs! / floorMs!])
  assert.equal(profile.steps.map(s => [s.step, s.kernels, s.bound]).sort(), [[0, ['add'], 'cache'], [1, ['copy'], 'cache']])
  assert.ok(Math.abs(profile.floorMs - floorMs!) < 1e-12 && profile.steps.every(s => s.lostMs === s.ms - s.floorMs && s.gap === s.ms / s.floorMs))
})

test('help is everywhere', async () => {
  const all = await vdsm(shared, ['--help'])
  assert.is(all.code, 0)
  for (const command of ['compile', 'run', 'list', 'bench', 'train']) assert.match(all.out, new RegExp(`^ +${command} `, 'm'))
  for (const command of ['run', 'list', 'bench', 'train']) {
    const one = await vdsm(shared, [command, '--help'])
    assert.equal([one.code, one.err], [0, ''])
    assert.match(one.out, new RegExp(`^Usage: vdsm ${command} `))
  }
  assert.match((await vdsm(shared, ['--version'])).out, /^\d+\.\d+\.\d+\n$/)
})

test('it works from node_modules of another project, whatever that project\'s tsconfig says', async () => {
  const folder = temporary()
  mkdirSync(join(folder, 'node_modules', '.bin'), { recursive: true })
  symlinkSync(resolve('.'), join(folder, 'node_modules', 'vdsm'))
  symlinkSync(bin, join(folder, 'node_modules', '.bin', 'vdsm'))
  writeFileSync(join(folder, 'tsconfig.json'), '{ broken')
  const result = spawned(folder, ['list'], join(folder, 'node_modules', '.bin', 'vdsm'))
  assert.match(result.err, /^build\/manifest\.json: no such file/)
  assert.is(result.code, 1)
  assert.equal(readdirSync(folder).sort(), ['node_modules', 'tsconfig.json'])
})

test('numbers that are not finite are run and told; a source that changed since is not run', async () => {
  const folder = ground()
  npz(join(folder, 'nan.npz'), { ...rest, x: f32(NaN, 1), key: { shape: [2], dtype: 'u32', data: [0, 1] } })
  const { code, err } = await vdsm(folder, ['run', 'toy/step', '--inputs', 'nan.npz', '--params', 'p.safetensors', '--out', 'out.npz'])
  assert.is(code, 0)
  assert.is(err, 'note: input x holds NaN (element 0 of 2)\nnote: output state.w holds NaN (element 0 of 2)\n')
  const { folder: old } = toyBuild(m => ({ ...m, programs: m.programs.map(p => ({ ...p, sources: { '../toy.ts': 'of another day' } })) }))
  npz(join(old, 'in.npz'), rest)
  for (const args of [['run', 'toy/step', '--inputs', 'in.npz', '--out', 'out.npz'], ['bench', 'toy/step']]) {
    const refused = await vdsm(old, args)
    assert.is(refused.code, 1)
    assert.match(refused.err, /^toy\.ts: it has changed since toy\/step was compiled\n {2}Compile again/)
  }
  assert.not.ok(existsSync(join(old, 'out.npz')))
})

test.run()
