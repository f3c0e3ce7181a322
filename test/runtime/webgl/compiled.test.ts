/** Compiled programs on the device webgl by gpu.js's mode cpu, beside the device wasm. */
import * as E from 'fp-ts/lib/Either.js'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import { compile } from '../../../compiler/compile.ts'
import { Refusal } from '../../../dsl/errors.ts'
import { openBuild } from '../../../runtime/build.ts'
import { nodeHost } from '../../../runtime/device/node.ts'
import { orThrow } from './support/calls.ts'
import { checkCompiled, sources } from './support/compiled.ts'

const out = mkdtempSync(join(tmpdir(), 'vdsm-webgl-build-'))
test.after(() => rmSync(out, { recursive: true, force: true }))

test('encoding by VDSM, indices beyond the ends, training in place and predictions by shared parameters agree with wasm', async () => {
  const root = resolve('test/runtime')
  const compiled = await compile({ files: sources.map(name => join(root, name)), root, out, force: true, targets: ['wasm', 'webgl'], onBuilt: () => undefined })
  if (E.isLeft(compiled)) throw new Refusal(compiled.left)
  await checkCompiled(await orThrow(openBuild(nodeHost(out))), { interpreted: true })
})

test.run()
