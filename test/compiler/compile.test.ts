/** A build folder: the same bytes from the same source, nothing done twice, and every mistake answered before anything is written. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { spawnSync } from 'node:child_process'
import * as E from 'fp-ts/lib/Either.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../compiler/compile.ts'
import type { Target } from '../../compiler/emit/build.ts'
import { explain } from '../../compiler/emit/explain.ts'
import { lowerFiles } from '../../compiler/frontend/lower.ts'
import type { Job } from '../../compiler/job.ts'
import { onThreads } from '../../compiler/threads.ts'
import { print } from '../../dsl/errors.ts'
import { checkFresh } from '../../runtime/fresh.ts'

const here = fileURLToPath(new URL('.', import.meta.url))
const bin = fileURLToPath(new URL('../../runtime/vdsm.mjs', import.meta.url))
// Sources live below this folder, where their imports of the language resolve.
const work = mkdtempSync(join(here, 'fixtures/tmp-'))
const temporary = mkdtempSync(join(tmpdir(), 'vdsm-build-'))
// At the very end, also where a test ends the process.
process.on('exit', () => [work, temporary].forEach(folder => rmSync(folder, { recursive: true, force: true })))

const source = readFileSync(join(here, 'fixtures/two.ts'), 'utf8').replaceAll('../../../dsl', '../../../../dsl')
const place = (name: string, text: string): string => {
  writeFileSync(join(work, name), text)
  return join(work, name)
}
const build = async (file: string, out: string, look: Parameters<typeof compile>[0]['look'] = () => undefined) => {
  const result = await compile({ files: [file], root: work, out, force: false, onBuilt: () => undefined, look })
  return E.isRight(result) ? result.right : (assert.unreachable(print(result.left)) as never)
}
const files = (out: string): Readonly<Record<string, string>> =>
  Object.fromEntries(readdirSync(out).sort().map(f => [f, readFileSync(join(out, f)).toString('base64')]))
/** The names of the files in a build, without the hashes in them. */
const names = (out: string): readonly string[] => readdirSync(out).sort().map(name => name.replace(/\.[0-9a-f]{8}\./, '.#.'))
const moduleOf = (out: string, start: string): string =>
  join(out, readdirSync(out).sort().find(name => name.startsWith(start)) ?? assert.unreachable(`${start} in ${out}`) as never)

test('the same source makes the same bytes', async () => {
  const file = place('same.ts', source)
  const [a, b] = [join(temporary, 'a'), join(temporary, 'b')]
  await build(file, a)
  await build(file, b)
  const made = ['gradient', 'predict'].flatMap(id => ['fma.wasm', 'wasm', 'webgl.json', 'webgpu.json'].map(ending => `same.${id}.#.${ending}`))
  assert.equal(names(a), ['bindings.ts', 'cache.json', 'manifest.json', ...made])
  assert.equal(files(a), files(b))
})

test('what has not changed is not compiled again; what has is, alone', async () => {
  const out = join(temporary, 'again')
  const file = place('again.ts', source)
  assert.equal((await build(file, out)).compiled, ['again/predict', 'again/gradient'])
  const before = files(out)
  assert.equal((await build(file, out)).compiled, [])
  assert.equal(files(out), before)
  place('again.ts', source.replace('mean(square(', 'mean(square(square(').replace('one.y)))))', 'one.y))))))'))
  const report = await build(file, out)
  assert.equal(report.compiled, ['again/gradient'])
  assert.equal(report.programs.map(p => p.id), ['again/gradient', 'again/predict'])
  // A module that is gone is made again, and so is everything where the manifest is damaged.
  rmSync(moduleOf(out, 'again.predict.'))
  assert.equal((await build(file, out)).compiled, ['again/predict'])
  writeFileSync(join(out, 'manifest.json'), '{"version":')
  assert.equal([...(await build(file, out)).compiled].sort(), ['again/gradient', 'again/predict'])
})

const idsIn = (out: string): readonly string[] =>
  (JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8')) as { programs: { id: string }[] }).programs.map(p => p.id)

test('a constant that has changed is compiled, however far down a literal, and if only in the sign of zero', async () => {
  const out = join(temporary, 'constants')
  const text = (last: string, by: string): string => [
    "import { add, constant, div, full, mul, program, type Vec } from '../../../../dsl/index.ts'",
    `export const table = program((x: Vec<10>) => mul(x, constant([1, 2, 3, 4, 5, 6, 7, 8, 9, ${last}])), {})`,
    `export const signed = program((x: Vec<3>) => add(x, div(1, full([], ${by}))), {})`,
  ].join('\n')
  await build(place('constants.ts', text('10', '0')), out)
  assert.equal((await build(place('constants.ts', text('11', '0')), out)).compiled, ['constants/table'])
  assert.equal((await build(place('constants.ts', text('11', '-0')), out)).compiled, ['constants/signed'])
})

test('a folder keeps the programs of other sources while those are there', async () => {
  const out = join(temporary, 'both')
  const [one, other] = [place('one.ts', source), place('other.ts', source)]
  await build(one, out)
  const report = await build(other, out)
  assert.equal([report.programs.map(p => p.id), report.others], [['other/gradient', 'other/predict'], 2])
  const both = ['one/gradient', 'one/predict', 'other/gradient', 'other/predict']
  assert.equal(idsIn(out), both)
  assert.is(readFileSync(join(out, 'bindings.ts'), 'utf8').match(/'(one|other)\/(gradient|predict)'/g)?.length, 4)
  // Back and forth: nothing is compiled again, nothing is lost.
  assert.equal((await build(one, out)).compiled, [])
  assert.equal((await build(one, out)).compiled, [])
  assert.equal(idsIn(out), both)
  // A program that is renamed and a source that is gone take their modules with them.
  place('one.ts', source.replace('export const predict', 'export const guess'))
  assert.equal((await build(one, out)).compiled, ['one/guess'])
  assert.equal(idsIn(out), ['one/gradient', 'one/guess', 'other/gradient', 'other/predict'])
  rmSync(other)
  await build(one, out)
  place('one.ts', `${source}\n`)
  await build(one, out)
  const made = ['gradient', 'predict'].flatMap(id => ['fma.wasm', 'wasm', 'webgl.json', 'webgpu.json'].map(ending => `one.${id}.#.${ending}`))
  assert.equal(names(out), ['bindings.ts', 'cache.json', 'manifest.json', ...made])
})

test('a compile that cannot be written leaves the old build whole', async () => {
  const file = place('blocked.ts', source)
  const out = join(temporary, 'blocked')
  await build(file, out)
  const before = files(out)
  place('blocked.ts', source.replace('relu(linear(p.l1, x))', 'relu(relu(linear(p.l1, x)))'))
  await build(file, join(temporary, 'elsewhere'))
  // A folder lies where the last module has to go.
  const last = moduleOf(join(temporary, 'elsewhere'), 'blocked.gradient.').split('/').pop() ?? ''
  mkdirSync(join(out, last))
  const result = await compile({ files: [file], root: work, out, force: false, onBuilt: () => undefined })
  assert.ok(E.isLeft(result) && result.left.kind === 'write')
  rmSync(join(out, last), { recursive: true })
  assert.equal(files(out), before)
})

test('a build folder among the sources is no source', () => {
  const folder = join(work, 'inside')
  mkdirSync(folder)
  writeFileSync(join(folder, 'model.ts'), source.replaceAll('../../../../dsl', '../../../../../dsl'))
  const twice = [0, 1].map(() => spawnSync(process.execPath, [bin, 'compile', '.', '--out', 'build'], { encoding: 'utf8', cwd: folder }))
  assert.match(twice[0]?.stdout ?? '', /2 programs in build\/: 2 compiled, 0 unchanged \(/)
  assert.match(twice[1]?.stdout ?? '', /2 programs in build\/: 0 compiled, 2 unchanged \(/)
})

test('fusion leaves one kernel per matrix product of the prediction', async () => {
  const texts = new Map<string, string>()
  const file = place('explained.ts', source)
  const { programs } = await build(file, join(temporary, 'explained'), built => texts.set(built.info.id, explain(built)))
  const counts = Object.fromEntries(programs.map(p => [p.id, [p.stats.kernelsBefore, p.stats.kernelsAfter]]))
  assert.equal(counts, { 'explained/gradient': [15, 7], 'explained/predict': [6, 2] })
  const text = texts.get('explained/predict') ?? ''
  for (const part of ['kernels 6 before fusion, 2 after', 'explained.ts:7', 'acc = sum over', 'p.l2.weight'])
    assert.ok(text.includes(part), `${part} in\n${text}`)
})

test('several threads write what one does, say the same of it, and leave what has not changed', async () => {
  const programs = (sizes: readonly number[]): string => sizes.map(size => `export const sums${size} = program((x: Tensor<[${size}]>) => sum(exp(x)), {})`).join('\n')
  const head = "import { exp, program, sum, type Tensor } from '../../../../dsl/index.ts'\n"
  const names = ['one.ts', 'other.ts']
  const all = names.map((name, i) => place(name, `${head}${programs([1, 2, 3, 4, 5].map(n => 100 * i + n))}\n`))
  const made = async (threads: number, out: string) => {
    const said: string[] = []
    const result = await compile({ files: all, root: work, out, force: false, threads, onBuilt: ({ info }) => said.push(info.id) })
    return { said: said.sort(), report: E.isRight(result) ? result.right : (assert.unreachable(print(result.left)) as never) }
  }
  const [alone, together] = [join(temporary, 'alone'), join(temporary, 'together')]
  const [one, two] = [await made(1, alone), await made(2, together)]
  assert.is(one.said.length, 10)
  assert.equal(two, one)
  assert.equal(files(together), files(alone))

  place('other.ts', `${head}${programs([101, 102, 103, 104, 106])}\n`)
  assert.equal((await made(2, together)).report.compiled, ['other/sums106'])

  place('other.ts', `${head}${programs([101])}\nexport const large = program((x: Tensor<[70000, 70000]>) => sum(exp(x)), {})\n`)
  place('one.ts', `${head}${programs(Array.from({ length: 60 }, (_, i) => i + 1))}\n`)
  const before = files(together)
  const said: string[] = []
  const refused = await compile({ files: all, root: work, out: together, force: true, threads: 2, onBuilt: ({ info }) => said.push(info.id) })
  assert.match(E.isLeft(refused) ? print(refused.left) : 'compiled', /^other\/large: the program needs/)
  assert.equal(files(together), before)
  assert.ok(said.length < 60, 'the other thread does not go on')
  all.forEach(path => rmSync(path))
})

test('a fault of one thread is that of the compile, and the others end with it', async () => {
  const lowered = lowerFiles([place('fault.ts', source)], work)
  const programs = E.isRight(lowered) ? lowered.right : []
  const jobs = Array.from({ length: 60 }, (_, i): Job => {
    const program = programs[i % programs.length] ?? (assert.unreachable() as never)
    return { program: { ...program, file: i === 0 ? 'faulty' : 'good' }, targets: ['wasm'], compiler: '', known: null }
  })
  const [first] = jobs
  if (first === undefined) return assert.unreachable()
  const broken: Job = { ...first, program: { ...first.program, func: { ...first.program.func, insts: [null as never] } } }
  let heard = 0
  const fault = await onThreads([broken, ...jobs.slice(1)], 2, () => (heard += 1)).then(() => 'no fault', String)
  assert.match(fault, /^TypeError/)
  const then = heard
  assert.ok(then < 59)
  await new Promise(later => setTimeout(later, 100))
  assert.is(heard, then)
})

test('a damaged module is made again, not taken for what was compiled', async () => {
  const out = join(temporary, 'damaged')
  const file = place('damaged.ts', source)
  const [first] = (await build(file, out)).programs
  if (first === undefined) return assert.unreachable()
  const path = join(out, first.modules.fma)
  const good = readFileSync(path)
  writeFileSync(path, good.subarray(0, 400))
  assert.equal((await build(file, out)).compiled, [first.id])
  assert.equal(readFileSync(path), good)
})

test('a build for WebAssembly alone has no file for WebGPU, and gets it when that is asked for; a damaged one is made again', async () => {
  const out = join(temporary, 'targets')
  const file = place('targets.ts', source)
  const request = { files: [file], root: work, out, force: false, onBuilt: () => undefined }
  const made = async (targets: readonly Target[]) => {
    const result = await compile({ ...request, targets })
    return E.isRight(result) ? result.right : (assert.unreachable(print(result.left)) as never)
  }
  const shaders = (): readonly string[] => names(out).filter(name => name.endsWith('.webgpu.json'))
  assert.ok((await made(['wasm'])).programs.every(p => p.webgpu === undefined))
  assert.equal(shaders(), [])
  const [first] = (await made(['wasm', 'webgpu'])).programs
  assert.equal(shaders(), ['targets.gradient.#.webgpu.json', 'targets.predict.#.webgpu.json'])
  assert.equal((await made(['wasm', 'webgpu'])).compiled, [])
  const path = join(out, first?.webgpu?.file ?? '')
  const good = readFileSync(path)
  writeFileSync(path, good.subarray(0, 400))
  assert.equal((await made(['wasm', 'webgpu'])).compiled, [first?.id])
  assert.equal(readFileSync(path), good)
  await made(['wasm'])
  assert.equal(shaders(), [])
})

test('a source that has changed since is noticed; a comment that was compiled, another program and a missing source are not', async () => {
  const out = join(temporary, 'stale')
  const file = place('stale.ts', source)
  const fresh = async (text: string): Promise<string> => {
    const { programs } = await build(file, out)
    place('stale.ts', text)
    const [program] = programs
    const result = program === undefined ? assert.unreachable() as never : checkFresh(out, program)
    return E.isLeft(result) ? print(result.left) : 'fresh'
  }
  assert.is(await fresh(source), 'fresh')
  assert.match(await fresh(`${source}// more\n`), /stale\.ts: it has changed since stale\/gradient was compiled\n {2}Compile again: npm run compile/)
  assert.is(await fresh(`${source}// more\n`), 'fresh')
  const { programs } = await build(file, out)
  rmSync(file)
  assert.ok(programs.every(p => E.isRight(checkFresh(out, p))))
  assert.equal(Object.keys(programs[0]?.sources ?? {}).map(path => path.split('/').at(-1)), ['stale.ts'], 'the language is not the user\'s source')
})

test('a program beyond the memory of WebAssembly is refused with figures', async () => {
  const source = "import { program, relu, type Vec } from '../../../../dsl/index.ts'\n\nexport const huge = program((x: Vec<2000000000>) => relu(x), {})\n"
  const file = place('huge.ts', source)
  const result = await compile({ files: [file], root: work, out: join(temporary, 'huge'), force: false, onBuilt: () => undefined })
  assert.match(E.isLeft(result) ? print(result.left) : 'compiled', /^huge\/huge: the program needs 14\.9 GiB of memory; WebAssembly has 4\.0 GiB at most\n/)
  assert.not.ok(existsSync(join(temporary, 'huge')))
})

const vdsm = (...args: readonly string[]) => spawnSync(process.execPath, [bin, ...args], { encoding: 'utf8', cwd: work })

test('a wrong shape stops the compile, names the place, and writes nothing', () => {
  place('wrong.ts', source.replace('Linear<8, 2>', 'Linear<9, 2>'))
  const out = join(temporary, 'wrong')
  const { status, stderr } = vdsm('compile', 'wrong.ts', '--out', out)
  assert.is(status, 1)
  assert.match(stderr, /^wrong\.ts:7:\d+ {2}linear: weight \[2, 9\] takes 9 features, input has 8 \[9 != 8\]\n/)
  assert.match(stderr, / > 7 \|/)
  assert.not.ok(existsSync(out))
})

test('a program to be explained that is not there is asked for before anything is built', async () => {
  const file = place('named.ts', source)
  const out = join(temporary, 'named')
  const result = await compile({ files: [file], root: work, out, force: true, named: 'named/nope', onBuilt: () => assert.unreachable('nothing is built') })
  assert.is(E.isLeft(result) ? print(result.left) : '', "there is no program 'named/nope'\n  There are: named/predict, named/gradient")
  assert.not.ok(existsSync(out))
})

test('part of the models keeps the names that it has among all of them', () => {
  mkdirSync(join(work, 'models/part'), { recursive: true })
  writeFileSync(join(work, 'models/part/one.ts'), source.replaceAll('../../../../dsl', '../../../../../../dsl'))
  const ids = (path: string): readonly string[] => {
    const out = join(temporary, `named-${path.replaceAll('/', '-')}`)
    const { status, stderr } = vdsm('compile', path, '--out', out)
    assert.is(status, 0, stderr)
    return (JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8')) as { programs: { id: string }[] }).programs.map(p => p.id)
  }
  const expected = ['part/one/gradient', 'part/one/predict']
  assert.equal(ids('models'), expected)
  assert.equal(ids('models/part'), expected)
  assert.equal(ids('models/part/one.ts'), expected)
  rmSync(join(work, 'models'), { recursive: true })
})

test('paths and options that cannot be are refused by name', () => {
  assert.match(vdsm('compile', 'nowhere.ts').stderr, /^nowhere\.ts: no such file or folder\n/)
  assert.match(vdsm('compile').stderr, /^models: no such file or folder\n {2}Name the files or folders/)
  cpSync(join(work, 'same.ts'), join(work, 'same.txt'))
  assert.match(vdsm('compile', 'same.txt').stderr, /not a TypeScript source file/)
  assert.match(vdsm('compile', 'same.ts', '--targets', 'webgpu').stderr, /^cannot compile for 'webgpu'\n {2}There are wasm, webgpu, webgl; /)
  const unknown = vdsm('compile', '--fast')
  assert.match(unknown.stderr, /unknown option '--fast'/)
  assert.match(unknown.stderr, /^unknown option '--fast'\n {2}See: vdsm compile --help\n$/)
  assert.is(unknown.status, 1)
  const help = vdsm('help', 'compile')
  assert.is(help.status, 0)
  assert.is(help.stdout, vdsm('compile', '--help').stdout)
  const taken = vdsm('compile', 'same.ts', '--out', 'same.txt')
  assert.match(taken.stderr, /^cannot write same\.txt: /)
  assert.is(taken.status, 1)
})

test.run()
