/**
 * Makes the scripts of pages, in memory and in a fraction of a second: `vdsm.js`, the runtime as one ES module with all
 * that it needs but WebGL; `vdsm-webgl.js` beside it, the device webgl with gpu.js, imported where programs run on it; and `studio.js`, `trainer.js`
 * and `measurer.js`, the page of `vdsm studio` and its workers, which import it.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build, type BuildOptions, type Metafile, type Plugin } from 'esbuild'

/** The package's own folder. */
const root = fileURLToPath(new URL('../..', import.meta.url))

const common = {
  absWorkingDir: root, bundle: true, write: false, metafile: true, format: 'esm', platform: 'browser', target: 'es2022', minify: true,
  legalComments: 'none', logLevel: 'silent', tsconfigRaw: {}, outdir: 'build',
} as const satisfies BuildOptions

/** Of packages, the form of which the unused parts can be left out; and no eager device, which brings the whole eager language. */
const lean: Plugin = {
  name: 'lean',
  setup: ({ onResolve, resolve }) => {
    onResolve({ filter: /^fp-ts\/lib\// }, ({ path, importer, kind, resolveDir }) => resolve(path.replace('/lib/', '/es6/'), { importer, kind, resolveDir }))
    onResolve({ filter: /\/executor-eager\.ts$/ }, () => ({ path: fileURLToPath(new URL('./no-eager.ts', import.meta.url)) }))
  },
}

/** The file that holds the device webgl, and gpu.js: it is larger than the module, which most pages need without it. */
export const webglFile = 'vdsm-webgl.js'

const besideWebGl: Plugin = {
  name: 'beside-webgl',
  setup: ({ onResolve }) => {
    onResolve({ filter: /\/webgl\/load\.ts$/ }, () => ({ path: `./${webglFile}`, external: true }))
  },
}

/** Of gpu.js, what computes on WebGL2: its other devices, and its way to print kernels as programs of their own, are empty. */
const webglOnly: Plugin = {
  name: 'webgl-only',
  setup: ({ onResolve, onLoad, resolve }) => {
    onResolve({ filter: /^gpu\.js$/ }, ({ importer, kind, resolveDir }) => resolve('gpu.js/src/index.js', { importer, kind, resolveDir }))
    onResolve({ filter: /\/(web-gpu|web-assembly|headless-gl)\/|^gpu-mock\.js$|\/gl-wiretap$/ }, ({ path, importer }) =>
      (importer.includes('gpu.js') ? { path, namespace: 'empty' } : undefined))
    onLoad({ filter: /.*/, namespace: 'empty' }, () => ({ contents: 'module.exports = {}' }))
  },
}

/** The page imports the module as any other page would. */
const besideModule: Plugin = {
  name: 'beside-module',
  setup: ({ onResolve }) => {
    onResolve({ filter: /\/browser\.ts$/ }, () => ({ path: './vdsm.js', external: true }))
  },
}

export type Scripts = {
  /** By name. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** What went into `vdsm.js`, file by file, in bytes. */
  readonly weights: Metafile
}

const textOf = (contents: Uint8Array | undefined): string => new TextDecoder().decode(contents)

/** The device webgl as an ES module, for the module to import. */
const bundleWebGl = async (): Promise<Uint8Array> => {
  const { outputFiles } = await build({ ...common, entryPoints: ['runtime/device/webgl/load.ts'], plugins: [webglOnly, lean] })
  return outputFiles[0]?.contents ?? new Uint8Array()
}

/**
 * The module, and the device webgl, which is to lie beside it as `webglFile` where programs run on WebGL. The module's worker threads start
 * from a text within it, so that it can lie anywhere.
 */
export const bundleModule = async (): Promise<{ readonly code: Uint8Array; readonly webgl: Uint8Array; readonly weights: Metafile }> => {
  const worker = await build({ ...common, entryPoints: ['runtime/device/worker-web.mjs'] })
  const made = await build({
    ...common, entryPoints: { vdsm: 'runtime/browser.ts' }, plugins: [lean, besideWebGl],
    define: { VDSM_WORKER: JSON.stringify(textOf(worker.outputFiles[0]?.contents)) },
  })
  return { code: made.outputFiles[0]?.contents ?? new Uint8Array(), webgl: await bundleWebGl(), weights: made.metafile }
}

/** The module, and the page's scripts and other files. */
export const bundleStudio = async (): Promise<Scripts> => {
  const module = await bundleModule()
  const page = await build({
    ...common, entryPoints: { studio: 'runtime/studio/page.ts', trainer: 'runtime/studio/trainer.ts', measurer: 'runtime/studio/measurer.ts' },
    plugins: [besideModule, lean],
  })
  const scripts = page.outputFiles.map(file => [file.path.split(/[\\/]/).pop() ?? '', file.contents] as const)
  const asIs = ['index.html', 'style.css', 'icon.svg'].map(name => [name, new Uint8Array(readFileSync(new URL(name, import.meta.url)))] as const)
  return { files: new Map([['vdsm.js', module.code] as const, [webglFile, module.webgl] as const, ...scripts, ...asIs]), weights: module.weights }
}
