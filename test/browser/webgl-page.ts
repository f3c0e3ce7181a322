/**
 * The script of the page of webgl.test.ts, and of its worker: the device webgl on programs written by hand, and what becomes of
 * programs when their context fails. The page watches the contexts that are made, and can take from them what they have.
 */
import { print, Refusal } from '../../dsl/errors.ts'
import { webglHere } from '../../runtime/browser.ts'
import { webHost } from '../../runtime/device/web.ts'
import { openBuild } from '../../runtime/build.ts'
import { checkCompiled } from '../runtime/webgl/support/compiled.ts'
import { checkProgram, loader, orThrow } from '../runtime/webgl/support/calls.ts'
import { all, broken, large, wide, without } from '../runtime/webgl/support/hand.ts'

const messageOf = async (f: () => Promise<unknown>): Promise<string> => {
  try {
    await f()
    return 'nothing was refused'
  } catch (error) {
    return error instanceof Refusal ? print(error.failure) : error instanceof Error ? error.stack ?? error.message : String(error)
  }
}

type Context = Record<'createTexture' | 'deleteTexture' | 'createProgram' | 'getExtension' | 'getError' | 'compileShader' | 'clientWaitSync', (...args: unknown[]) => unknown>
type Canvas = { getContext: (kind: string, ...more: readonly unknown[]) => Context | null }
type Kind<A> = { readonly prototype: A }
const world = globalThis as unknown as {
  readonly OffscreenCanvas: Kind<Canvas>; readonly HTMLCanvasElement?: Kind<Canvas>; readonly WebGL2RenderingContext: Kind<Context>
}
const canvases = [world.OffscreenCanvas, ...(world.HTMLCanvasElement === undefined ? [] : [world.HTMLCanvasElement])]

/** What has been made of contexts since the page began. */
const seen = { contexts: [] as Context[], textures: 0, programs: 0 }

const watch = <A extends object, K extends keyof A>(prototype: A, name: K, see: (result: unknown) => void): void => {
  const inner = prototype[name] as unknown as (...args: unknown[]) => unknown
  prototype[name] = function (this: unknown, ...args: unknown[]) {
    const result = inner.apply(this, args)
    see(result)
    return result
  } as unknown as A[K]
}
for (const { prototype } of canvases) {
  watch(prototype, 'getContext', made => {
    const context = made as Context | null
    if (context !== null && !seen.contexts.includes(context)) seen.contexts.push(context)
  })
}
watch(world.WebGL2RenderingContext.prototype, 'createTexture', () => seen.textures++)
watch(world.WebGL2RenderingContext.prototype, 'deleteTexture', () => seen.textures--)
watch(world.WebGL2RenderingContext.prototype, 'createProgram', () => seen.programs++)

/** With another function in the place of one of a prototype. */
const instead = async <A extends object, K extends keyof A, B>(
  prototypes: readonly A[], name: K, replacement: (inner: A[K]) => A[K], f: () => Promise<B>,
): Promise<B> => {
  const inner = prototypes.map(prototype => prototype[name])
  prototypes.forEach((prototype, i) => prototype[name] = replacement(inner[i] ?? prototype[name]))
  try {
    return await f()
  } finally {
    prototypes.forEach((prototype, i) => prototype[name] = inner[i] ?? prototype[name])
  }
}

const host = webHost('/build/')
const load = async (id: string) => (await loader(host, {}, [...all, broken, large, wide, ...without]))(id)
const lastContext = (): Context | undefined => seen.contexts[seen.contexts.length - 1]
const contextsOf = async (f: () => Promise<unknown>): Promise<number> => {
  const before = seen.contexts.length
  await f()
  return seen.contexts.length - before
}

const page = {
  here: () => webglHere(),
  check: () => messageOf(() => checkProgram(host, {})),
  /** Where canvases of no page have no WebGL, as in some browsers, or have not heard of it. */
  checkOnCanvas: (message: string | null) => instead([world.OffscreenCanvas.prototype], 'getContext', () => () => {
    if (message !== null) throw new TypeError(message)
    return null
  }, () => messageOf(() => checkProgram(host, {}))),
  checkCompiled: () => messageOf(async () => checkCompiled(await orThrow(openBuild(host)), {})),
  refusals: () => Promise.all(['hand/broken', 'hand/large', 'hand/obstacle', 'hand/none'].map(id => messageOf(() => load(id)))),

  /** What is said where the browser has no WebGL2, and where contexts lack an extension. */
  noContext: () => instead(canvases.map(({ prototype }) => prototype), 'getContext', () => () => null, () => messageOf(() => load('hand/chain'))),
  without: (extension: string) => instead([world.WebGL2RenderingContext.prototype], 'getExtension',
    inner => function (this: Context, ...args) { return args[0] === extension ? null : inner.apply(this, args) }, () => messageOf(() => load('hand/chain'))),

  /** The order in which readings come of which the device seems to be late with the first. */
  order: async () => {
    const program = await load('hand/chain')
    program.run()
    const came: number[] = []
    let [first, asked]: [unknown, number] = [undefined, 0]
    await instead([world.WebGL2RenderingContext.prototype], 'clientWaitSync', inner => function (this: Context, ...args) {
      first ??= args[0]
      return args[0] === first && asked++ < 20 ? 0x911b /* not yet */ : inner.apply(this, args)
    }, () => Promise.all([0, 1, 2].map(i => program.read(program.program.outputs.map(({ path }) => path)).then(() => came.push(i)))))
    program.dispose()
    return came
  },

  /** How many elements of a large array are not where they belong. */
  wide: async () => {
    const program = await load('hand/wide')
    program.set('x', [1])
    program.run()
    const [down = new Float32Array()] = await program.read(['down'])
    program.dispose()
    return [down.length, Array.from(down).reduce((wrong, x, i) => wrong + (x === down.length - i ? 0 : 1), 0)]
  },

  /** What is said where the driver has no memory for one more texture. */
  full: async () => {
    const program = await load('hand/chain')
    const prototype = world.WebGL2RenderingContext.prototype
    const said = await instead([prototype], 'getError', () => () => 0x505, () => messageOf(async () => program.run()))
    const later = await messageOf(() => program.read(['twice']))
    program.dispose()
    return [said, later]
  },

  /** A context that is lost while two programs are on it, what each says then, and that a fresh load goes on. */
  lose: async () => {
    const heard: string[] = []
    const step = await load('hand/exchange')
    const other = await (await loader(host, { onFailure: failure => heard.push(print(failure)) }))('hand/chain')
    step.set('a', [1, 2, 3, 4])
    step.run()
    const kept = await step.read(['a', 'b'])
    const extension = lastContext()?.getExtension('WEBGL_lose_context') as { readonly loseContext: () => void }
    extension.loseContext()
    const said = [
      await messageOf(() => step.read(['a'])), await messageOf(async () => step.run()),
      await messageOf(async () => other.set('y', [1])), await messageOf(() => other.done()),
    ]
    await new Promise(done => setTimeout(done, 50))
    const fresh = await load('hand/exchange')
    fresh.setAll({ a: kept[0] ?? [], b: kept[1] ?? [] })
    fresh.run()
    const after = await fresh.read(['a', 'b'])
    for (const each of [step, other, fresh]) each.dispose()
    return { heard, said, after: after.map(array => [...array]) }
  },

  /** What is said where the context is lost while kernels are compiled: the first of the context, and later ones. */
  loseEarly: async () => {
    const losing = () => instead([world.WebGL2RenderingContext.prototype], 'compileShader', inner => function (this: Context, ...args) {
      const extension = this.getExtension('WEBGL_lose_context') as { readonly loseContext: () => void }
      extension.loseContext()
      return inner.apply(this, args)
    }, () => messageOf(() => load('hand/chain')))
    const first = await losing()
    const held = await load('hand/exchange')
    const later = await losing()
    held.dispose()
    return [first, later]
  },

  /** Waiting for a program that is disposed of meanwhile. */
  late: async () => {
    const program = await load('hand/chain')
    program.run()
    const done = messageOf(() => program.done())
    program.dispose()
    return done
  },

  /** Textures, shaders and bytes while programs run again and again, are fed, shared, set, read and loaded again. */
  memory: async (times: number) => {
    const none = seen.textures
    const step = await load('hand/exchange')
    step.run()
    // Beside a program's arrays: what stands for arrays while kernels are built, and what the first kernel of the context made.
    const own = seen.textures - none - 2
    const reader = await load('hand/reader')
    reader.share(step, [['b', 'p']])
    const turn = async (i: number) => {
      step.set('a', [i, 1, 2, 3])
      step.run()
      step.feed('kept', 'a')
      reader.set('q', [1, 2, 3, i])
      reader.run()
      if (i % 100 === 0) await reader.read(['out'])
    }
    const words = await load('hand/words')
    for (let i = 0; i < 5; i++) await turn(i)
    const before = { ...seen }
    for (let i = 0; i < times; i++) await turn(i)
    await step.done()
    const again = await load('hand/words')
    const grown = { textures: seen.textures - before.textures, programs: seen.programs - before.programs }
    for (const each of [words, again]) each.dispose()
    const bytes = step.memoryBytes / own
    step.dispose()
    reader.dispose()
    return { grown, own, bytes }
  },

  /** Contexts that are opened for one program, and for one that is loaded when no other is left. */
  contexts: async () => {
    const one = async () => (await load('hand/chain')).dispose()
    return [await contextsOf(async () => {
      const programs = await Promise.all(['hand/chain', 'hand/words', 'hand/long'].map(load))
      programs.forEach(program => program.dispose())
    }), await contextsOf(one)]
  },

  /** The check, in a worker of this script. */
  checkInWorker: () => new Promise((done, failed) => {
    type Listening = { onmessage: (event: { readonly data: unknown }) => void; onerror: (event: { readonly message: string }) => void }
    type Helper = Listening & { readonly postMessage: (message: unknown) => void }
    const { Worker } = globalThis as unknown as { readonly Worker: new (address: string, options: { readonly type: 'module' }) => Helper }
    const worker = new Worker('/page.js', { type: 'module' })
    worker.onmessage = ({ data }) => done(data)
    worker.onerror = ({ message }) => failed(new Error(message))
    worker.postMessage('check')
  }),
}

if ('document' in globalThis) Object.assign(globalThis, { page })
else {
  const here = globalThis as unknown as { onmessage: () => void; readonly postMessage: (message: unknown) => void }
  here.onmessage = () => void page.check().then(here.postMessage)
}
