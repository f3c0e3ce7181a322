/** The manifest's schema: what is written is read again, and everything else is refused with its place. */
import * as E from 'fp-ts/lib/Either.js'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { print } from '../../dsl/errors.ts'
import { findProgram, parseManifest, printManifest } from '../../runtime/manifest.ts'
import { fromPaths, join, restOf, toPaths } from '../../runtime/paths.ts'
import { toyManifest } from './toy.ts'

const message = <A>(result: E.Either<Parameters<typeof print>[0], A>): string => (E.isLeft(result) ? print(result.left) : 'accepted')

test('a manifest survives the file', () => {
  assert.equal(parseManifest(printManifest(toyManifest), 'm.json'), E.right(toyManifest))
})

const broken: readonly (readonly [string, string, RegExp])[] = [
  ['no JSON', '{', /^m\.json: not valid JSON .*\n {2}Compile again: npm run compile/],
  ['no object', '3', /the top level: expected .*, found 3/],
  ['another version', '{"version":0}', /manifest version 0; this runtime reads version 2/],
  ['a wrong dtype', printManifest(toyManifest).replace('"dtype": "f32"', '"dtype": "f64"'), /programs\[0\]\.inputs\[0\]\.dtype: expected .*, found "f64"/],
  ['a missing field', printManifest(toyManifest).replace('"signature"', '"sig"'), /programs\[0\]\.signature: expected string, found nothing/],
  ['a negative offset', printManifest(toyManifest).replace('"offset": 8', '"offset": -8'), /inputs\[1\]\.offset: expected whole number >= 0, found -8/],
]
for (const [name, text, expected] of broken) {
  test(`refused: ${name}`, () => assert.match(message(parseManifest(text, 'm.json')), expected))
}

test('programs are found by id', () => {
  assert.is(message(findProgram(toyManifest, 'toy/step')), 'accepted')
  assert.match(message(findProgram(toyManifest, 'tiny/stop')), /There are: toy\/step/)
})

test('where there is no such program, the nearest ids are named, by the whole id', () => {
  const [toy] = toyManifest.programs
  if (toy === undefined) throw new Error('the toy has a program')
  const ids = ['paper-mug', 'small', 'tiny'].flatMap(config =>
    ['frames', 'video'].flatMap(part => ['decode', 'encode', 'evaluate', 'trainStep'].map(name => `vdsm/${config}/${part}/${name}`)))
  const manifest = { ...toyManifest, programs: ids.map(id => ({ ...toy, id })) }
  const said = (id: string): readonly string[] => message(findProgram(manifest, id)).split('\n  ')
  assert.match(said('vdsm/smal/video/trainStep')[1] ?? '', /^Did you mean: vdsm\/small\/video\/trainStep(, [^,]+){0,3}$/)
  assert.match(said('vdsm/small/frames/trainSte')[1] ?? '', /^Did you mean: vdsm\/small\/frames\/trainStep(, [^,]+){0,3}$/)
  assert.match(said('trainstep')[1] ?? '', /^Did you mean: vdsm\/tiny\/video\/trainStep, .*\/trainStep$/)
  assert.match(said('something else')[1] ?? '', /^There are: ([^,]+, ){8}\.\.\. \(see: vdsm list\)$/)
})

type Tree = number | { readonly [key: string]: Tree } | readonly Tree[]
const { tree } = fc.letrec<{ tree: Tree }>(tie => ({
  tree: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.integer(),
    fc.dictionary(fc.stringMatching(/^[a-z][a-zA-Z0-9_]{0,5}$/), tie('tree'), { minKeys: 1, maxKeys: 4, noNullPrototype: true }),
    fc.array(tie('tree'), { minLength: 1, maxLength: 12 }),
  ),
}))

test('trees become paths and trees again', () => {
  fc.assert(fc.property(tree, t => assert.equal(fromPaths(toPaths(t, (u): u is number => typeof u === 'number')), t)))
})

test('prefixes end at a dot or a bracket', () => {
  assert.equal(['a.b', 'a', 'a[2].c', 'ab.c', 'b'].map(path => restOf(path, 'a')), ['.b', '', '[2].c', null, null])
  assert.equal(['a.b', '[1]'].map(path => restOf(path, '')), ['.a.b', '[1]'])
  assert.equal([join('', '.a.b'), join('p', '.a'), join('p', '')], ['a.b', 'p.a', 'p'])
})

test.run()
