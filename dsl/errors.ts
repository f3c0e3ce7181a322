/**
 * Every way in which the product answers "no": one closed union, one printer. Three families: the user's mistake, a limit
 * that we know, a bug of ours. A message says what was done, what was found and what to do.
 */

/** A place in a source file, 1-based. */
export type Place = { readonly file: string; readonly line: number; readonly column: number }

export type DeviceReason = 'missing' | 'lost' | 'memory' | 'shader' | 'validation' | 'disagreement'

export type Failure =
  /** A mistake in a model's source: a shape that does not fit, something outside the pure subset. `frame` is a code frame. */
  | { readonly kind: 'source'; readonly at: Place; readonly message: string; readonly remedy?: string; readonly frame?: string; readonly trace?: readonly Place[] }
  /** Several mistakes in sources, reported together. */
  | { readonly kind: 'sources'; readonly all: readonly Failure[] }
  /** A tensor operation refused at run time (eager evaluation): shapes or dtypes that do not fit. */
  | { readonly kind: 'shape'; readonly operation: string; readonly message: string }
  /** An unknown or ill-formed command-line option or argument. */
  | { readonly kind: 'usage'; readonly message: string; readonly remedy?: string }
  /** A configuration with an unknown key or a bad value. */
  | { readonly kind: 'config'; readonly where: string; readonly message: string; readonly remedy?: string }
  /** A file that is missing, unreadable, corrupt, truncated or of the wrong kind. */
  | { readonly kind: 'file'; readonly path: string; readonly message: string; readonly remedy?: string }
  /** Arrays given to a program that do not fit its inputs; one line each. */
  | { readonly kind: 'arrays'; readonly program: string; readonly problems: readonly string[]; readonly remedy?: string }
  /** Data that cannot be used: a NaN in a frame, sheets of the wrong size. */
  | { readonly kind: 'data'; readonly source: string; readonly message: string; readonly remedy?: string }
  /** A metric or tensor that became NaN or infinite. */
  | { readonly kind: 'nonfinite'; readonly step: number; readonly metric: string; readonly value: string; readonly remedy?: string }
  /** Writing failed: disk full, folder not writable. */
  | { readonly kind: 'write'; readonly path: string; readonly message: string; readonly remedy?: string }
  /** A limit that we know: memory, device, size. */
  | { readonly kind: 'limit'; readonly what: string; readonly message: string; readonly remedy?: string }
  /**
   * A device beside the processor (WebGPU) that cannot be had, or failed: it was lost, ran out of memory, or refused a shader or
   * a call; or whose numbers are not those of another. What was on it is gone; after `lost` and `memory` a fresh one may do.
   */
  | { readonly kind: 'device'; readonly device: string; readonly reason: DeviceReason; readonly message: string; readonly remedy?: string }
  /** A bug of ours: a pass broke an invariant. */
  | { readonly kind: 'bug'; readonly where: string; readonly message: string }

/** What is thrown inside the pure core and turned into an `Either` at its edges. */
export class Refusal extends Error {
  readonly failure: Failure
  constructor(failure: Failure) {
    super(print(failure))
    this.name = 'Refusal'
    this.failure = failure
  }
  /** One that another copy of this class has made is one, too: scripts of pages that are loaded on demand have copies of their own. */
  static override [Symbol.hasInstance](value: unknown): value is Refusal {
    return value instanceof Error && value.name === 'Refusal' && 'failure' in value
  }
}

export const refuse = (failure: Failure): never => {
  throw new Refusal(failure)
}

const place = (at: Place): string => `${at.file}:${at.line}:${at.column}`
const withRemedy = (text: string, remedy: string | undefined): string => (remedy === undefined ? text : `${text}\n  ${remedy}`)

/** The one printer: plain ASCII text, no trailing newline. */
export const print = (failure: Failure): string => {
  switch (failure.kind) {
    case 'source':
      return withRemedy(
        [
          `${place(failure.at)}  ${failure.message}`,
          ...(failure.frame === undefined ? [] : [failure.frame]),
          ...(failure.trace ?? []).map(at => `    called from ${place(at)}`),
        ].join('\n'),
        failure.remedy,
      )
    case 'sources':
      return failure.all.map(print).join('\n\n')
    case 'shape':
      return `${failure.operation}: ${failure.message}`
    case 'usage':
      return withRemedy(failure.message, failure.remedy)
    case 'config':
      return withRemedy(`config ${failure.where}: ${failure.message}`, failure.remedy)
    case 'file':
      return withRemedy(`${failure.path}: ${failure.message}`, failure.remedy)
    case 'arrays':
      return withRemedy([`program ${failure.program}: the arrays given do not fit its inputs`, ...failure.problems.map(p => `  ${p}`)].join('\n'), failure.remedy)
    case 'data':
      return withRemedy(`data ${failure.source}: ${failure.message}`, failure.remedy)
    case 'nonfinite':
      return withRemedy(`step ${failure.step}: ${failure.metric} is ${failure.value}`, failure.remedy)
    case 'write':
      return withRemedy(`cannot write ${failure.path}: ${failure.message}`, failure.remedy)
    case 'limit':
      return withRemedy(`${failure.what}: ${failure.message}`, failure.remedy)
    case 'device':
      return withRemedy(`${failure.device}: ${failure.message}`, failure.remedy)
    case 'bug':
      return `internal error in ${failure.where}: ${failure.message}\n  This is a bug of vdsm; please report it with the file that caused it.`
  }
}
