/** `vdsm devices`: what programs can run on here, with limits and features, and why something is missing. */
import { pipe } from 'fp-ts/lib/function.js'
import * as E from 'fp-ts/lib/Either.js'
import * as T from 'fp-ts/lib/Task.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { print, type Failure } from '../../dsl/errors.ts'
import type { Host } from '../device/host.ts'
import { nodeHost } from '../device/node.ts'
import { measurePeak } from '../device/peak.ts'
import { findAdapter, listAdapters, type About } from '../device/webgpu/adapter.ts'
import { worded } from '../device/webgpu/tensor-cores.ts'
import { bytesText, say, type Register } from './command.ts'

type Missing = { readonly message: string; readonly remedy?: string }

type Here = {
  /** What `--device auto` takes. */
  readonly auto: 'webgpu' | 'wasm'
  readonly wasm: { readonly threads: number; readonly fma: boolean; readonly onlyOneThreadBecause: string | null }
  readonly webgpu: { readonly adapters: readonly About[]; readonly missing: Missing | null }
}

const missingOf = (failure: Failure): Missing =>
  failure.kind === 'device' ? { message: failure.message, ...(failure.remedy === undefined ? {} : { remedy: failure.remedy }) } : { message: print(failure) }

/** Looks at this machine; nothing is left running. */
const lookAround = (host: Host): T.Task<Here> => async () => {
  host.prepare()
  const real = await findAdapter(host.gpu, false)()
  const all = await listAdapters(host.gpu)()
  return {
    auto: E.isRight(real) ? 'webgpu' : 'wasm',
    wasm: { threads: host.threads.available(), fma: measurePeak(1).fma, onlyOneThreadBecause: host.threads.obstacle() },
    webgpu: { adapters: E.isRight(all) ? all.right.map(({ about }) => about) : [], missing: E.isLeft(real) ? missingOf(real.left) : null },
  }
}

const known = (word: string): string => (word === '' ? 'unknown' : word)

const adapterText = ({ name, vendor, architecture, device, software, limits, features, products }: About): readonly string[] => [
  `webgpu  ${name}${software ? ', a software adapter: only with --allow-software' : ''}`,
  `        vendor ${known(vendor)}, architecture ${known(architecture)}, device ${known(device)}`,
  `        buffers up to ${bytesText(limits.maxBufferSize)}, bound up to ${bytesText(limits.maxStorageBufferBindingSize)}, `
    + `${limits.maxStorageBuffersPerShaderStage} to a kernel; workgroups of up to ${limits.maxComputeInvocationsPerWorkgroup} threads `
    + `with ${bytesText(limits.maxComputeWorkgroupStorageSize)}`,
  `        features: ${features.length === 0 ? 'none that are made use of' : features.join(', ')}`,
  ...(products.length === 0 ? [] : [`        products of matrices: ${products.map(worded).join(', ')}`]),
]

const missingText = ({ message, remedy }: Missing, adapters: readonly About[]): readonly string[] =>
  [adapters.length > 0 ? `        no hardware: ${message}` : `webgpu  not here: ${message}`, ...(remedy === undefined ? [] : [`        ${remedy}`])]

const text = ({ auto, wasm, webgpu: { adapters, missing } }: Here): string => [
  'eager   float64, one thread, from the model\'s own source: slow, the reference',
  `wasm    ${wasm.fma ? 'relaxed FMA' : 'multiply and add'}, ${wasm.onlyOneThreadBecause === null
    ? `${wasm.threads} ${wasm.threads === 1 ? 'thread' : 'threads'}` : `1 thread (${wasm.onlyOneThreadBecause})`}`,
  ...adapters.flatMap(adapterText),
  ...(missing === null ? [] : missingText(missing, adapters)),
  'webgl   in pages only, where a browser has it: vdsm studio shows what there is',
  `--device auto takes ${auto}.`,
].join('\n')

export const register: Register = (cli, settle) => {
  cli.command('devices')
    .description('list what programs can run on here, with limits and features, and why something is missing')
    .option('--json', 'as JSON, for other programs')
    .action(({ json }: { readonly json?: true }) => settle(pipe(
      TE.fromTask<Here, Failure>(lookAround(nodeHost('.'))),
      TE.chainTaskK(here => say(json === true ? JSON.stringify(here, null, 2) : text(here))),
    )))
}
