/**
 * `npm run bench:webgl`: what a program costs on WebGL2 in Chromium - kernels, textures, bytes, time of a call - and its largest
 * convolution beside kernels of gpu.js written by hand, in the same page. It prints Markdown and writes build/bench/webgl.json.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { Command } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import { print, Refusal, refuse } from '../../../dsl/errors.ts'
import { openBuild } from '../../../runtime/build.ts'
import { nodeHost } from '../../../runtime/device/node.ts'
import { parseGlProgram } from '../../../runtime/device/webgl/load.ts'
import { texelsOf, type GlProgram, type GlStep } from '../../../runtime/gl-program.ts'
import { orThrow } from '../../../runtime/train/task.ts'
import { ask, chromiumPath, launch, openPage, packPage, servePage } from '../../browser/support.ts'
import type { Conv } from './by-hand.ts'
import type { ByHand, Measured, Times } from './page.ts'

type Options = { readonly build: string; readonly program: string; readonly rounds: number }

/** The second convolution of VDSM's encoder at its size `small`, for the eight frames of a clip: the largest kernel of a transfer. */
const conv: Conv = { frames: 8, channels: 8, outputs: 16, size: 32, window: 4, padding: 1, slope: 0.01 }

const count = (steps: readonly GlStep[], of: (step: Extract<GlStep, { kind: 'kernel' }>) => number): number =>
  steps.reduce((sum, step) => sum + (step.kind === 'loop' ? step.size * count(step.steps, of) : step.kind === 'kernel' ? of(step) : 0), 0)

const countsOf = (file: GlProgram) => {
  const texels = (array: number): number => texelsOf(file.arrays[array] ?? { name: '', dtype: 'f32', elements: 0 })
  return {
    runs: count(file.steps, step => step.runs.length), kernels: file.kernels.length, textures: file.arrays.length,
    megabytes: file.arrays.reduce((sum, _, i) => sum + 4 * texels(i), 0) / 1e6,
    moved: count(file.steps, step => step.runs.reduce((sum, run) => sum + 4 * [...run.inputs, run.output].reduce((n, array) => n + texels(array), 0), 0)) / 1e6,
  }
}

const ms = (times: Times): string => `${times.median.toFixed(2)} (${times.least.toFixed(2)}) ms`

const bench = async ({ build: folder, program, rounds }: Options): Promise<void> => {
  const no = (message: string, remedy: string): never => refuse({ kind: 'usage', message, remedy })
  if (chromiumPath === undefined) return no('WebGL is measured in Chromium, which is not here', 'Debian: apt-get install chromium')
  const { manifest } = await orThrow(openBuild(nodeHost(folder)))
  const info = manifest.programs.find(({ id }) => id === program)
  const { webgl: entry } = info ?? {}
  if (entry === undefined || 'obstacle' in entry) {
    return no(`there is no program ${program} for WebGL in ${folder}/${entry === undefined ? '' : `: ${entry.obstacle}`}`, 'Compile first: npm run compile')
  }
  const parsed = parseGlProgram(readFileSync(`${folder}/${entry.file}`, 'utf8'), entry.file)
  if (E.isLeft(parsed)) throw new Refusal(parsed.left)
  const file = parsed.right
  const { scripts } = await packPage('../bench/webgl/page.ts')
  const { server, address } = await servePage(scripts, folder)
  const browser = await launch()
  const page = await openPage(browser, address, [])
  const webgl = (await ask(page, 'program', program, 'webgl', rounds)) as Measured
  const wasm = (await ask(page, 'program', program, 'wasm', rounds)) as Measured
  const hands = (await ask(page, 'byHand', conv, rounds)) as readonly ByHand[]
  await browser.close()
  server.close()

  const [first] = hands
  const same = hands.every(({ sum }) => Math.abs(sum - (first?.sum ?? NaN)) <= 1e-3 * Math.abs(sum))
  if (!same) return no(`the kernels by hand do not compute the same: ${hands.map(({ sum }) => sum).join(', ')}`, 'This is a mistake in by-hand.ts.')

  const flopsOf = (step: GlStep): number => (step.kind === 'kernel' ? step.flops : 0)
  const largest = file.steps.reduce((best, step, i) => (flopsOf(step) > flopsOf(file.steps[best]!) ? i : best), 0)
  const ours = webgl.steps[largest]!
  const best = hands.reduce((a, b) => (b.times.median < a.times.median ? b : a))
  const found = file.steps[largest]
  const counts = countsOf(file)
  const results = {
    version: 1, date: new Date().toISOString().slice(0, 10), cpu: cpus()[0]?.model.trim() ?? 'unknown', program, counts, webgl, wasm,
    largest: { name: found?.kind === 'kernel' ? found.name : '', flops: flopsOf(file.steps[largest]!), times: ours }, hands, ratio: ours.median / best.times.median,
  }
  mkdirSync('build/bench', { recursive: true })
  writeFileSync('build/bench/webgl.json', `${JSON.stringify(results, null, 1)}\n`)
  console.log([
    `${program}, ${webgl.variant}; ${results.cpu}, ${results.date}; medians (best) of ${rounds} rounds.`, '',
    `- ${counts.runs} runs of ${counts.kernels} kernels; ${counts.textures} textures, ${counts.megabytes.toFixed(1)} MB; `
      + `${counts.moved.toFixed(1)} MB read and written`,
    `- a call ${ms(webgl.call)} (the first ${webgl.first.toFixed(0)} ms, with loading); WebAssembly, in the same page: ${ms(wasm.call)}`, '',
    `| ${results.largest.name}, ${(results.largest.flops / 1e6).toFixed(1)} MFLOP | time | ours over it |`, '| --- | ---: | ---: |',
    `| ours | ${ms(ours)} | |`, ...hands.map(({ name, times }) => `| by hand: ${name} | ${ms(times)} | ${(ours.median / times.median).toFixed(2)} |`), '',
  ].join('\n'))
}

await new Command('npm run bench:webgl --')
  .description('Measures a program on WebGL2 in headless Chromium, beside kernels of gpu.js that are written by hand.')
  .option('--build <folder>', 'a folder that was compiled into', 'build')
  .option('--program <id>', 'the program', 'vdsm/small/video/transfer')
  .option('--rounds <n>', 'rounds of each measurement', Number, 10)
  .action(bench)
  .parseAsync()
  .catch((error: unknown) => {
    if (!(error instanceof Refusal)) throw error
    console.error(print(error.failure))
    process.exitCode = 2
  })
