/** Opening a context of WebGL2: what it has to offer, what is known of it, and hearing that it was lost. */
import { pipe } from 'fp-ts/lib/function.js'
import * as E from 'fp-ts/lib/Either.js'
import * as O from 'fp-ts/lib/Option.js'
import type { Failure } from '../../../dsl/errors.ts'
import { softwareNames } from '../webgpu/adapter.ts'
import type { About } from './engine.ts'
import { gl as n, glFailure, remedies, type Gl, type GlCanvas, type GlSource, type Opened } from './source.ts'

export type Context = { readonly gl: Gl; readonly about: About; readonly onLost: (listener: (failure: Failure) => void) => void; readonly close: () => void }

/** What every context is asked for: nothing is ever drawn on its canvas. */
export const contextAttributes = {
  alpha: false, depth: false, stencil: false, antialias: false, preserveDrawingBuffer: false, powerPreference: 'high-performance',
} as const

/** A context on a canvas; `browser` says what to blame where it gives none. */
export const contextOn = (canvas: GlCanvas): E.Either<Failure, Opened> => {
  // A browser that does not know of WebGL2 may throw.
  const gl = O.toNullable(O.tryCatch(() => canvas.getContext('webgl2', contextAttributes)))
  return gl === null || gl.isContextLost()
    ? E.left(glFailure('missing', 'the browser gives no context of WebGL2',
      `Look at chrome://gpu (or about:support) for what it blocks, and close pages that use WebGL: browsers allow a few contexts only. ${remedies.elsewhere}`))
    : E.right({ canvas, gl })
}

export const lostFailure = (name: string, detail = ''): Failure =>
  glFailure('lost', `the context was lost: ${name}${detail === '' ? '' : ` (${detail})`}`, remedies.reload)

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

const aboutOf = (gl: Gl): About => {
  const unmasked = gl.getExtension('WEBGL_debug_renderer_info') !== null
  const name = text(gl.getParameter(unmasked ? n.unmaskedRenderer : n.renderer)) || 'a renderer without a name'
  const vendor = text(gl.getParameter(unmasked ? n.unmaskedVendor : n.vendor))
  const viewport = gl.getParameter(n.maxViewport) as ArrayLike<number> | null // two numbers, of which a lost context knows nothing
  const sides = [Number(gl.getParameter(n.maxTextureSize)), viewport?.[0] ?? 0, viewport?.[1] ?? 0]
  return { name, vendor, software: softwareNames.test(name), maxTextureSize: Math.min(...sides) }
}

/** Textures of floats can be written only with this, and only then are read exactly as they were written. */
const required = 'EXT_color_buffer_float'

const close = (gl: Gl): void => (gl.getExtension('WEBGL_lose_context') as { readonly loseContext: () => void } | null)?.loseContext() // as it is specified

/** A context that can compute in float32, or why there is none. */
export const openContext = (source: GlSource): E.Either<Failure, Context> =>
  pipe(
    source.open(),
    E.chain(({ canvas, gl }): E.Either<Failure, Context> => {
      const about = aboutOf(gl)
      if (gl.getExtension(required) === null) {
        close(gl)
        return E.left(glFailure('missing', `${about.name} cannot write textures of 32-bit floats (it lacks the extension ${required})`, remedies.elsewhere))
      }
      return E.right({
        gl, about,
        onLost: listener => canvas.addEventListener('webglcontextlost', event => listener(lostFailure(about.name, event.statusMessage))),
        close: () => close(gl),
      })
    }),
  )

/** What is known of the context that programs would get here; it is opened and closed. */
export const lookAtGl = (source: GlSource): E.Either<Failure, About> =>
  pipe(openContext(source), E.map(context => {
    context.close()
    return context.about
  }))
