/** Runs programs for WebGL in gpu.js's mode for processors: kernels are JavaScript that computes in float64 between loads and stores. */
import { compileGl } from '../../../compiler/targets/webgl/program.ts'
import type { Plan } from '../../../compiler/schedule/kernel/kernel.ts'
import type { Dense } from '../../../dsl/core/dense.ts'
import type { Engine, Texture } from '../../../runtime/device/webgl/engine.ts'
import { interpretedEngine } from '../../../runtime/device/webgl/interpreted.ts'
import { importLibrary } from '../../../runtime/device/webgl/library.ts'
import { readArray, writeArray } from '../../../runtime/device/webgl/words.ts'
import { type GlProgram, type GlStep, texelsOf } from '../../../runtime/gl-program.ts'

export const openEngine = async (): Promise<Engine> => interpretedEngine(await importLibrary())

/** Calls a program so many times, and gives what its outputs are after that. Inputs stay, but for those that outputs take the place of. */
export const runGl = async (engine: Engine, program: GlProgram, args: readonly Dense[], calls = 1): Promise<readonly ArrayLike<number>[]> => {
  const functions = new Map(program.functions.map(f => [f.name, f]))
  const kernels = program.kernels.map(k => engine.prepare(k, functions))
  const textures: Texture[] = program.arrays.map(a => engine.zeros(texelsOf(a)))
  const upload = (array: number, data: ArrayLike<number>): void => {
    const { dtype, elements } = program.arrays[array]!
    if (data.length !== elements) throw new RangeError(`${program.arrays[array]!.name} has ${elements} elements, not ${data.length}`)
    textures[array] = engine.upload(texelsOf(program.arrays[array]!), numbers => writeArray(dtype, data, numbers))
  }
  program.constants.forEach(({ array, data }) => upload(array, data.map(Number)))
  program.inputs.forEach((array, i) => upload(array, args[i]!.data))
  const perform = (steps: readonly GlStep[], turns: readonly number[]): void => {
    for (const step of steps) {
      switch (step.kind) {
        case 'copy':
          textures[step.to] = textures[step.from]!
          break
        case 'loop':
          for (let i = 0; i < step.size; i += 1) perform(step.steps, [...turns, i])
          break
        case 'kernel': {
          const made = step.runs.map(r => kernels[r.kernel]!(r.inputs.map(a => textures[a]!), turns))
          step.runs.forEach((r, i) => {
            textures[r.output] = made[i]!
          })
        }
      }
    }
  }
  for (let i = 0; i < calls; i += 1) perform(program.steps, [])
  const found = await engine.read(program.outputs.map(a => textures[a]!))
  return found.map((numbers, i) => readArray(program.arrays[program.outputs[i]!]!.dtype, numbers))
}

export const programOf = (plan: Plan): GlProgram => compileGl('test', plan)
