/**
 * The runtime's public face: load compiled programs, run them on arrays, keep a training state in place, read and write
 * array files. Safe to bundle for a browser (with the condition `browser`, as bundlers set it): Node's modules stay outside.
 */
export { arr, load, loadOn, type Arr, type Bound, type BoundOn, type BindOptions, type Given, type ProgramTypes } from './bindings.ts'
export { loadProgram, openBuild, type Build, type Device, type LoadOptions, type LocalOptions } from './build.ts'
export type { Host } from './device/host.ts'
export { webHost } from './device/web.ts'
export type { Variant } from './device/wasm.ts'
export { transfer, type AnyArray, type ArrayOf, type Executable, type LocalExecutable, type View } from './executor.ts'
export type { KernelInfo, Manifest, ProgramInfo, Slot, Stats } from './manifest.ts'
export { fitArrays } from './arrays.ts'
export { parseNpz, printNpz } from './io/npz.ts'
export { parseSafetensors, printSafetensors } from './io/safetensors.ts'
export { resumeTrainer, startTrainer, type Saved, type Trainer } from './trainer.ts'
