/**
 * The part of the WebAssembly JavaScript interface that the project uses. The DOM library declares all of it, but brings
 * the whole browser with it; Node's types leave it out.
 */
declare namespace WebAssembly {
  type Imports = Record<string, Record<string, unknown>>
  type Limits = { initial: number; maximum?: number; shared?: boolean }
  class Memory {
    constructor(limits: Limits)
    readonly buffer: ArrayBuffer
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
  const instantiate: (bytes: Uint8Array | ArrayBuffer, imports: Imports) => Promise<{ readonly module: Module; readonly instance: Instance }>
}
