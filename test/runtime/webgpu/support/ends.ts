/** A process that uses WebGPU and then ends in one of several ways: `node --import tsx ends.ts MODE`. */
import { load, sums } from './common.ts'

const [mode = ''] = process.argv.slice(2)

process.on('exit', () => process.stdout.write(`ends: ${mode}\n`))

const program = await load(sums)
program.set('x', new Float32Array(100).fill(1))
program.run()
if (mode === 'forgets') Object.assign(globalThis, { program, read: await program.read(['sum']) })
if (mode === 'exits at work') {
  for (let i = 0; i < 50; i++) program.run()
  void program.read(['sum'])
  process.exit(3)
}
if (mode === 'does not wait') for (let i = 0; i < 50; i++) program.run()
if (mode === 'reads and disposes') {
  void program.read(['sum']).then(([sum]) => process.stdout.write(`read ${sum?.[0] ?? ''}\n`))
  program.dispose()
}
