/**
 * The little of a browser's document that the page uses, as types: the DOM library would bring names for everything into
 * the whole project, most of which has no document.
 */

export type Listener = () => void

export type Node = {
  textContent: string | null
  hidden: boolean
  readonly dataset: Record<string, string | undefined>
  readonly clientWidth: number
  addEventListener: (kind: string, listener: Listener) => void
  replaceChildren: (...children: readonly Node[]) => void
}
export type Control = Node & { disabled: boolean; value: string }
export type Bar = Node & { value: number; max: number }

export type Context = {
  fillStyle: string
  strokeStyle: string
  lineWidth: number
  lineJoin: string
  font: string
  textAlign: string
  textBaseline: string
  globalAlpha: number
  scale: (x: number, y: number) => void
  clearRect: (x: number, y: number, width: number, height: number) => void
  fillRect: (x: number, y: number, width: number, height: number) => void
  fillText: (text: string, x: number, y: number) => void
  measureText: (text: string) => { readonly width: number }
  beginPath: () => void
  moveTo: (x: number, y: number) => void
  lineTo: (x: number, y: number) => void
  stroke: () => void
  putImageData: (image: object, x: number, y: number) => void
}
export type Canvas = Node & { width: number; height: number; getContext: (kind: '2d') => Context | null }

type Media = { readonly matches: boolean; addEventListener: (kind: 'change', listener: Listener) => void }

type Window = {
  readonly document: {
    readonly body: Node
    getElementById: (id: string) => Node | null
    createElement: (name: string) => Node
  }
  readonly location: { readonly search: string; readonly href: string }
  readonly devicePixelRatio: number
  readonly ImageData: new (pixels: Uint8ClampedArray<ArrayBuffer>, width: number, height: number) => object
  readonly matchMedia: (query: string) => Media
  readonly getComputedStyle: (of: Node) => { getPropertyValue: (name: string) => string }
  readonly requestAnimationFrame: (f: Listener) => number
  readonly addEventListener: (kind: string, listener: Listener) => void
}

/** Border: this script runs in a page. */
export const page = globalThis as unknown as Window

/** An element of the page, which must be there. The caller says of which kind it is: index.html has it so. */
export const element = <N extends Node = Node>(id: string): N => {
  const found = page.document.getElementById(id)
  if (found === null) throw new Error(`the page has no #${id}`)
  return found as N
}

/** A new element, with a text in it. */
export const make = <N extends Node = Node>(name: string, text = ''): N => {
  const made = page.document.createElement(name)
  made.textContent = text
  return made as N
}

/** A colour of the style sheet. */
export const colour = (name: string): string => page.getComputedStyle(page.document.body).getPropertyValue(`--${name}`).trim()
