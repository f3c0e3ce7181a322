/** The WebAssembly target: a module from a plan. */
export { emitWasm, type Module, type Options } from './module.ts'
