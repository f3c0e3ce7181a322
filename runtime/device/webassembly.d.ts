/**
 * The part of the WebAssembly JavaScript interface, and of a browser's workers, that the project uses. The DOM library
 * declares all of it, but brings the whole browser with it; Node's types leave it out.
 */
declare namespace WebAssembly {
  type Imports = Record<string, Record<string, unknown>>
  type Limits = { initial: number; maximum?: number; shared?: boolean }
  /** Its buffer is a SharedArrayBuffer where the limits say so. */
  class Memory<B extends ArrayBufferLike = ArrayBuffer> {
    constructor(limits: Limits)
    readonly buffer: B
  }
  class Module {
    constructor(bytes: Uint8Array | ArrayBuffer)
    static exports(module: Module): readonly { readonly name: string; readonly kind: string }[]
  }
  class Instance {
    constructor(module: Module, imports?: Imports)
    readonly exports: Readonly<Record<string, unknown>>
  }
  const validate: (bytes: Uint8Array | ArrayBuffer) => boolean
  const compile: (bytes: Uint8Array | ArrayBuffer) => Promise<Module>
  const instantiate: (module: Module, imports: Imports) => Promise<Instance>
}

declare class Worker {
  constructor(url: URL, options: { readonly type: 'module'; readonly name?: string })
  postMessage(message: unknown): void
  terminate(): void
  onmessage: ((event: { readonly data: unknown }) => void) | null
  onerror: ((event: { readonly message?: string; preventDefault(): void }) => void) | null
}
