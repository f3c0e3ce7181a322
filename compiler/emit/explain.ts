/** What `vdsm compile --explain` prints of a program: its size before and after fusion, its memory, and its kernels with the lines they come from. */
import { type GlStep, texelsOf } from '../../runtime/gl-program.ts'
import { printPlan } from '../schedule/kernel/print.ts'
import { statsOf } from '../schedule/kernel/stats.ts'
import type { Built } from './build.ts'
import { type Counts, countsOf, unfused } from './counts.ts'
import { compileGpu } from '../targets/wgsl/program.ts'

const si = (n: number, unit: string): string => {
  const [scaled, prefix] = n >= 1e9 ? [n / 1e9, 'G'] : n >= 1e6 ? [n / 1e6, 'M'] : n >= 1e3 ? [n / 1e3, 'k'] : [n, '']
  return `${scaled >= 100 || Number.isInteger(scaled) ? scaled.toFixed(0) : scaled.toFixed(2)} ${prefix}${unit}`
}

/** What a call of the program is on WebGPU, after packing, before it, and if every operation were a dispatch and every value an array. */
const gpuLines = ({ info, gpu, kernels, func }: Built): readonly string[] => {
  if (gpu === null) return []
  if (typeof gpu === 'string') return [`  WebGPU: it cannot run there: ${gpu}`]
  const line = (name: string, { dispatches, copies, moved, bytes, buffers }: Counts): string =>
    [`    ${name.padEnd(10)} ${String(dispatches).padStart(5)} dispatches`, `${String(copies).padStart(4)} copies`, `${si(moved, 'B').padStart(8)} moved`,
      `${si(bytes, 'B').padStart(8)} in ${buffers} buffers`].join(', ')
  const now = countsOf(gpu)
  return [
    `  WebGPU: ${now.shaders} shaders; least possible: ${si(now.least, 'B')} moved, each input and output once; ${si(now.live, 'B')} live at once`,
    line('unfused', unfused(func)), line('fused', countsOf(compileGpu(info.id, kernels, { packed: false }))), line('and packed', now),
  ]
}

export const wgslOf = ({ gpu }: Built): string => (gpu === null || typeof gpu === 'string' ? '' : gpu.program.shaders.map(s => `${s.code}\n`).join(''))

/** The kernels for WebGL, each function that they call once before them. */
export const webglOf = ({ gl }: Built): string =>
  gl === null || typeof gl === 'string' ? '' : [...gl.functions, ...gl.kernels].map(({ code }) => `${code}\n\n`).join('')

/** What a call of the program is on WebGL. */
const glLines = ({ gl }: Built): readonly string[] => {
  if (gl === null) return []
  if (typeof gl === 'string') return [`  WebGL: it cannot run there: ${gl}`]
  const { kernels, arrays, steps } = gl
  const bytes = arrays.reduce((n, a) => n + 4 * texelsOf(a), 0)
  return [`  WebGL: ${kernels.length} kernels, which run ${glRuns(steps)} times; ${si(bytes, 'B')} in ${arrays.length} arrays`]
}
const glRuns = (steps: readonly GlStep[]): number =>
  steps.reduce((n, step) => n + (step.kind === 'kernel' ? step.runs.length : step.kind === 'loop' ? step.size * glRuns(step.steps) : 0), 0)

export const explain = (built: Built): string => {
  const { info, plan, memory } = built
  const { stats } = info
  const rows = statsOf(plan).map(s => [
    s.kernel.name, s.runs === 1 ? '' : `x${s.runs}`, si(s.flops, 'FLOP'), si(s.bytes, 'B'),
    [...new Set(s.kernel.origins.map(o => `${o.file}:${o.line}`))].slice(0, 3).join(' '),
  ])
  const widths = [0, 1, 2, 3].map(c => Math.max(...rows.map(r => r[c]!.length), 1))
  return [
    `${info.id}  (${info.file}:${info.line})`,
    `  ${info.signature}`,
    `  kernels ${stats.kernelsBefore} before fusion, ${stats.kernelsAfter} after; ${si(stats.flops, 'FLOP')}, ${si(stats.bytes, 'B')} moved at least`,
    `  memory ${si(memory.bytes, 'B')} in ${stats.buffers} buffers; live at once ${si(memory.live, 'B')}; without sharing ${si(memory.sum, 'B')}`,
    ...gpuLines(built),
    ...glLines(built),
    ...rows.map(r => `    ${r[0]!.padEnd(widths[0]!)} ${r[1]!.padStart(widths[1]!)} ${r[2]!.padStart(widths[2]!)} ${r[3]!.padStart(widths[3]!)}  ${r[4]!}`),
    '',
    printPlan(plan),
    '',
  ].join('\n')
}
