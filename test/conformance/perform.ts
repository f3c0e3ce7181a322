/** Does the tasks of the suite on a device, one after the other, in whatever surroundings: Node, a child process, a page. */
import * as E from 'fp-ts/lib/Either.js'
import { print } from '../../dsl/errors.ts'
import type { Build, LoadOptions } from '../../runtime/build.ts'
import type { Executable } from '../../runtime/executor.ts'
import { pack, unpack, type Answer, type Task } from './transport.ts'

const problemOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** The first program stays, and with it the device and what it has compiled: programs have shaders in common. */
const first: { kept?: Executable } = {}

export const perform = async (build: Build, options: LoadOptions, { id, inputs, steps }: Task): Promise<Answer> => {
  const loaded = await build.loadOn(id, options)()
  if (E.isLeft(loaded)) return { id, problem: print(loaded.left) }
  const executable = loaded.right
  const stays = first.kept === undefined
  first.kept ??= executable
  try {
    const { program } = executable
    for (const { path, dtype } of program.inputs) executable.set(path, unpack(inputs[path] ?? '', dtype))
    for (let step = 0; step < (steps?.count ?? 1); step++) {
      if (steps !== undefined && step > 0) executable.feed(steps.feed, steps.feed)
      executable.run()
    }
    const arrays = await executable.read(program.outputs.map(({ path }) => path))
    return { id, outputs: Object.fromEntries(program.outputs.map(({ path, dtype }, i) => [path, pack(arrays[i] ?? [], dtype)])) }
  } catch (error) {
    return { id, problem: problemOf(error) }
  } finally {
    if (!stays) executable.dispose()
  }
}
