/** Node's side of the runtime: files from a folder, sources through `import`, V8's flags for WebAssembly, worker threads. */
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'
import { Refusal, type Failure } from '../../dsl/errors.ts'
import { readBytes } from '../io/files.ts'
import type { Host, Threads } from './host.ts'
import { glFailure, type GlSource } from './webgl/source.ts'
import { dawn } from './webgpu/dawn.ts'

/**
 * How V8 treats WebAssembly here. Kernels run long inside few calls, so the baseline compiler, which a running loop never
 * leaves, made first calls 3 to 5 times slower: modules are optimised when they are loaded. Node 20's V8 knows relaxed
 * SIMD but keeps it behind a flag; later ones need none.
 */
const prepareEngine = (): void => {
  const [major = 0] = process.versions.node.split('.').map(Number)
  setFlagsFromString('--no-liftoff')
  setFlagsFromString('--no-wasm-lazy-compilation')
  if (major < 22) setFlagsFromString('--experimental-wasm-relaxed-simd')
}

let commonJs = false

/** A model of a package without "type": "module" counts as CommonJS, which tsx reads through a second hook. */
const readCommonJs = async (): Promise<void> => {
  if (commonJs) return
  commonJs = true
  const { register } = await import('tsx/cjs/api')
  register()
}

const importFailure = (path: string, error: unknown): Failure => {
  if (error instanceof Refusal) return error.failure
  const message = error instanceof Error ? error.message : String(error)
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return {
    kind: 'file', path, message: `the model's source could not be imported (${message.split('\n')[0] ?? ''})`,
    remedy: code === 'ERR_UNKNOWN_FILE_EXTENSION'
      ? 'The eager device runs TypeScript: start Node with --import tsx, or use the vdsm command.'
      : 'The eager device runs the program from its source, which has to be where it was when it was compiled.',
  }
}

/** How many cores the process's control group leaves it, where one is set: containers are limited so, and old versions of Node do not look. */
const quota = (): number => {
  try {
    const [most, period] = readFileSync('/sys/fs/cgroup/cpu.max', 'utf8').trim().split(' ').map(Number)
    return most === undefined || period === undefined || Number.isNaN(most) ? Infinity : Math.max(1, Math.floor(most / period))
  } catch {
    return Infinity
  }
}

/** Workers never keep the process alive, but while one has to answer. Options of the process (--import and the like) are not for them. */
const threads: Threads = {
  available: () => Math.min(availableParallelism(), quota()),
  obstacle: () => null,
  start: ({ onAnswer, onEnd }) => {
    const worker = new Worker(new URL('./worker-node.mjs', import.meta.url), { name: 'vdsm', execArgv: [] })
    worker.on('message', onAnswer)
    worker.on('error', error => onEnd(error instanceof Error ? error.message : String(error)))
    worker.on('exit', () => onEnd('it has ended'))
    worker.unref()
    return { post: message => worker.postMessage(message), hold: awaited => (awaited ? worker.ref() : worker.unref()) }
  },
}

/** Node has no canvas, and nothing that gives it WebGL is installed with the package. */
const gl: GlSource = {
  open: () => E.left(glFailure('missing', 'it runs in pages, where a browser has it, and not in Node',
    'See it in a page: npx vdsm studio. Here there are the devices webgpu, wasm and eager (npx vdsm devices).')),
}

/** A build folder on disk. */
export const nodeHost = (folder: string): Host => ({
  where: folder,
  read: name => readBytes(join(folder, name), 'Compile first: npm run compile (or: npx vdsm compile).'),
  source: (root, file) => {
    const path = resolve(folder, root, file)
    return TE.tryCatch(
      async (): Promise<Readonly<Record<string, unknown>>> => {
        await readCommonJs()
        return (await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>
      },
      error => importFailure(path, error),
    )
  },
  prepare: prepareEngine,
  // At once: while an asynchronous compilation is under way, nothing would keep Node from exiting.
  compile: async bytes => new WebAssembly.Module(bytes),
  instantiate: async (module, imports) => new WebAssembly.Instance(module, imports).exports,
  threads,
  gpu: dawn,
  gl,
})

/** What a build that is named by a text is in Node: see `#host` in package.json. */
export const hostAt = nodeHost
