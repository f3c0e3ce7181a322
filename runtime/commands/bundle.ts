/** `vdsm bundle`: writes the runtime for pages as one ES module, and beside it what it needs for WebGL alone. */
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { refuse } from '../../dsl/errors.ts'
import { writeAtomic } from '../io/files.ts'
import { bundleModule, webglFile } from '../studio/bundle.ts'
import { attempt, orThrow } from '../train/task.ts'
import type { Register } from './command.ts'

type Options = { readonly out: string }

const kilobytes = (bytes: number): string => `${(bytes / 1000).toFixed(1)} kB`

const write = async ({ out }: Options): Promise<void> => {
  if (!/\.m?js$/.test(out)) refuse({ kind: 'usage', message: `--out ${out}: a module for pages is a .js file`, remedy: 'For example: --out public/vdsm.js' })
  const { code, webgl } = await bundleModule()
  const beside = join(dirname(out), webglFile)
  await orThrow(writeAtomic(out, code))
  await orThrow(writeAtomic(beside, webgl))
  const sizes = (content: Uint8Array): string => `${kilobytes(content.length)}, ${kilobytes(gzipSync(content, { level: 9 }).length)} gzipped`
  process.stdout.write(`${out}: ${sizes(code)}. In a page: import { open } from './vdsm.js'\n`
    + `${beside}: ${sizes(webgl)}: the device webgl with gpu.js, which the module imports only where a program is loaded on it\n`)
}

export const register: Register = (cli, settle) => {
  cli.command('bundle')
    .summary('write the runtime for pages as one module')
    .description('write the runtime as one ES module for pages, without the compiler: it opens a build by its address and runs it on WebGPU, WebGL or '
      + 'WebAssembly')
    .option('--out <file>', 'where it is written', 'vdsm.js')
    .action((options: Options) => settle(attempt(() => write(options))))
}
