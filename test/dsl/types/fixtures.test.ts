/**
 * Compile-error fixtures: each mistake in fixtures/ has its message in comments below it, the caret under the blamed
 * argument. The checker runs once over all of them; line, column and text must agree, and nothing else may err.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

const folder = fileURLToPath(new URL('fixtures/', import.meta.url))
const compiler = fileURLToPath(new URL('../../../node_modules/typescript/bin/tsc', import.meta.url))

/** Our message within a diagnostic, `unresolved` where type parameters keep it from being worded, or the whole diagnostic where it holds none. */
const wording = (text: string): string => text.includes("type 'Check<") ? 'unresolved' : /(?:'|=> )(?:Problem<)?["`]([^"]*)["`]>?'\.$/.exec(text)?.[1] ?? text

const found = (): readonly string[] => {
  const { stdout } = spawnSync(process.execPath, [compiler, '-p', join(folder, 'tsconfig.json'), '--pretty', 'false'], { encoding: 'utf8' })
  return stdout.split('\n').flatMap(line => {
    const match = /^(.*)\((\d+),(\d+)\): error TS\d+: (.*)$/.exec(line)
    return match === null ? [] : [`${basename(match[1]!)}:${match[2]}:${match[3]} ${wording(match[4]!)}`]
  })
}

/** A caret comment speaks of the last line above it that is not one. */
const expected = (file: string): readonly string[] =>
  readFileSync(join(folder, file), 'utf8').split('\n').reduce<{ readonly line: number; readonly all: readonly string[] }>(({ line, all }, text, i) => {
    const caret = /^\/\/ *\^ (.*)$/.exec(text)
    return caret === null ? { line: i + 1, all } : { line, all: [...all, `${file}:${line}:${text.indexOf('^') + 1} ${caret[1]}`] }
  }, { line: 0, all: [] }).all

test('every mistake is refused at the argument that makes it, in words, and nothing else is', () => {
  const files = readdirSync(folder).filter(file => file.endsWith('.ts'))
  const wanted = files.flatMap(expected)
  assert.ok(wanted.length > 150, 'the fixtures are there')
  assert.equal([...found()].toSorted(), [...wanted].toSorted())
})

test.run()
