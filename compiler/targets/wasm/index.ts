/** The WebAssembly target: a module from a plan. */
export { compileWasm, emitWasm, type Compiled, type Module, type Options } from './module.ts'
