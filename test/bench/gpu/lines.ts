/** Lines of JSON that the parts of a measurement tell, as far as the report reads them. */
import * as t from 'io-ts'
import * as E from 'fp-ts/lib/Either.js'

const number = t.union([t.number, t.null])

/** One mode of a program, ours or of PyTorch. */
export const Line = t.intersection([
  t.type({ mode: t.string, kind: t.string }),
  t.partial({
    ms: t.number, bestMs: t.number, onceMs: t.number, error: t.string, tf32: t.boolean, form: t.string, flops: t.number,
    dispatches: t.number, kernelMs: number, overheadShare: number, memoryBytes: number, gpuMemoryMiB: number, loadSeconds: t.number,
    difference: t.union([t.type({ share: number, path: t.string }), t.null]), loss: number,
    kernels: t.array(t.type({ name: t.string, ms: t.number, count: t.number })),
  }),
])
export type Line = t.TypeOf<typeof Line>

/** Those lines of a part that are measurements. */
export const linesOf = (lines: readonly unknown[]): readonly Line[] =>
  lines.flatMap(line => {
    const decoded = Line.decode(line)
    return E.isRight(decoded) ? [decoded.right] : []
  })

/** The versions that the PyTorch side tells first; null where it did not come so far. */
export const versionsIn = (lines: readonly unknown[]): unknown =>
  lines.flatMap(line => (typeof line === 'object' && line !== null && 'versions' in line ? [line.versions] : []))[0] ?? null
