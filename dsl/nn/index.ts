/** Layers: functions of (parameters, input), parameters first. All are compositions of primitives. */
export * from './linear.ts'
export * from './conv.ts'
export * from './blur.ts'
export * from './lstm.ts'
export * from './init.ts'
