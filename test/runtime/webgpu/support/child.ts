/** Runs cases, `node --import tsx child.ts CASE...`, and prints for each a line of JSON: its name, and what went wrong (null: nothing). */
import { cases } from './cases.ts'

for (const name of process.argv.slice(2)) {
  const wrong = await (cases[name] ?? (async () => { throw new Error('there is no such case') }))().then(() => null, (error: unknown) =>
    error instanceof Error ? `${error.message}\n${'details' in error ? String(error.details) : ''}\n${error.stack ?? ''}` : String(error))
  process.stdout.write(`${JSON.stringify([name, wrong])}\n`)
}
process.on('exit', () => process.stdout.write('ended by itself\n'))
