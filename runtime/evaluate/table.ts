/** The tables that `vdsm evaluate` prints: plain text, numbers under one another. */
import { SOURCES, type Evaluation, type Source } from './evaluate.ts'
import { plural } from '../report/words.ts'
import { PROBES } from './probes.ts'

export type Spread = { readonly mean: number; readonly deviation: number }

/** Mean and standard deviation (of a sample; 0 of a single value). */
export const spreadOf = (values: readonly number[]): Spread => {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length
  const squares = values.reduce((sum, v) => sum + (v - mean) ** 2, 0)
  return { mean, deviation: values.length < 2 ? 0 : Math.sqrt(squares / (values.length - 1)) }
}

/** Columns as wide as their widest cell, the first to the left and the others to the right. */
export const columns = (rows: readonly (readonly string[])[]): string => {
  const widths = rows.reduce<readonly number[]>((most, row) => row.map((cell, i) => Math.max(most[i] ?? 0, cell.length)), [])
  return rows.map(row => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ').trimEnd()).join('\n')
}

const percent = (share: number): string => (100 * share).toFixed(1)
const number = (value: number, digits = 2): string => value.toFixed(digits)

/** `s linear`, `s mlp`, ... of one kind of features. */
const accuracies = ({ factors, readings, seeds }: Evaluation, source: Source): string => {
  const latents = [...new Set(readings.map(({ latent }) => latent))]
  const head = ['', 'chance', ...latents.flatMap(latent => PROBES.map(probe => `${latent} ${probe}`))]
  const rows = factors.map(({ name, classes, chance }) => [
    `${name} (${classes})`, percent(chance),
    ...latents.flatMap(latent => PROBES.map(probe => {
      const found = readings.find(r => r.factor === name && r.latent === latent && r.source === source && r.probe === probe)
      if (found === undefined) return ''
      const { mean, deviation } = spreadOf(found.accuracy)
      return seeds.length < 2 ? percent(mean) : `${percent(mean)} +-${percent(deviation)}`
    })),
  ])
  return columns([head, ...rows])
}

const sourceText: Readonly<Record<Source, string>> = {
  location: 'from the location of the posterior',
  draw: 'from a draw from the posterior: what the model passes on',
}

const splitText = ({ heldOut, counts, factors }: Evaluation): string => {
  const held = plural(counts.heldOut, 'held-out sequence')
  const takes = heldOut === 'takes' ? ': this data set holds out takes' : ''
  if (factors.length === 0) return `${held} of ${plural(counts.heldOutIdentities, 'identity', 'identities')}${takes}`
  return heldOut === 'identities'
    ? `${held} of ${plural(counts.heldOutIdentities, 'identity', 'identities')}; probes trained on ${plural(counts.train, 'sequence')} of other identities`
    : `${held}; probes trained on ${plural(counts.train, 'other sequence')} OF THE SAME ${plural(counts.trainIdentities, 'IDENTITY', 'IDENTITIES')}${takes}`
}

const latentsText = ({ latents }: Evaluation): string =>
  columns([
    ['', 'dimensions', 'active', 'KL', 'gap to the prior', 'about the input, at most'],
    ...Object.entries(latents).map(([name, f]) =>
      [name === 'z' ? 'z (a frame)' : name, String(f.dimensions), String(f.active), number(f.kl), number(f.gap), number(f.information)]),
  ])

const boundText = ({ bound }: Evaluation, stage: 1 | 2): string => {
  const of = (name: string): string => number(bound.values[name] ?? Number.NaN)
  const each = stage === 1 ? 'a group part' : 'a video'
  const bits = bound.values['bitsPerDim'] ?? Number.NaN
  const sites = [
    `x ${of('logLikelihood')} a frame`, `s -${of('klS')} ${each}`, ...('klD' in bound.values ? [`d -${of('klD')} ${each}`] : []), `z -${of('klZ')} a frame`,
  ]
  const what = plural(bound.count, stage === 1 ? 'part' : 'clip')
  return `bound on held-out ${stage === 1 ? 'groups' : 'videos'} (${what} of ${plural(bound.frames, 'frame')}): `
    + `${of('elbo')} nats a frame, ${number(bits, 4)} bits per dim (floor of this likelihood: ${number(bound.floorBitsPerDim, 4)})\n`
    + `  by site: ${sites.join(', ')}`
}

/** The whole report, without a line feed at its end. */
export const reportOf = (evaluation: Evaluation, stage: 1 | 2): string => {
  const { seeds, skipped, factors } = evaluation
  const spread = seeds.length < 2 ? '' : ', mean +- standard deviation'
  return [
    `${splitText(evaluation)}; seeds ${seeds.join(', ')}`,
    ...(factors.length === 0 ? ['no accuracies: this data set says of no factor what is to be seen'] : SOURCES.map(source =>
      `accuracy in %${spread}, ${sourceText[source]} (z: averaged over time)\n${accuracies(evaluation, source)}`)),
    ...(skipped.length === 0 ? [] : [skipped.map(({ name, why }) => `no probe for ${name}: ${why}`).join('\n')]),
    `posteriors of the held-out sequences, nats\n${latentsText(evaluation)}`,
    boundText(evaluation, stage),
  ].join('\n\n')
}
