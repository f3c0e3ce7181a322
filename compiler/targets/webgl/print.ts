/** One kernel of gpu.js for one gather: a function of the arrays that it reads and of counters, which returns the element of a texel. */
import type { DType } from '../../../dsl/core/prim.ts'
import { eachAccess } from '../../schedule/nest/accesses.ts'
import type { Named, Nest } from '../../schedule/nest/nest.ts'
import { withoutDead } from '../text/dead.ts'
import { printBody } from './body.ts'
import { withChoices } from './choices.ts'
import { functionOf } from './functions.ts'
import { naming } from './names.ts'
import { simplified } from './simplify.ts'

/** What a reader wants to know: the kernel's name, its source lines, and what arrays are called. */
export type About = { readonly name: string; readonly places: readonly string[]; readonly names: (space: number) => string }

/**
 * A kernel in which arrays have no names yet: in the text they are `$0$`, `$1$`, ... in the order of `inputs`, their spaces. Templates of
 * gathers that differ in names alone are equal, but for what `inputs` are.
 */
export type Template = {
  readonly inputs: readonly number[]
  readonly counters: readonly string[]
  readonly lines: readonly string[]
  /** By name, those that it calls. */
  readonly functions: ReadonlyMap<string, Named>
  /** Names that stand in the text. */
  readonly taken: ReadonlySet<string>
}

/** Prints a gather but for the names of arrays; `dtypeOf` are those of spaces, and `made` is the one of the array that it makes. */
export const templateOf = (nest: Nest, dtypeOf: (space: number) => DType, made: DType): Template => {
  const [element, ...loops] = nest.params
  if (element === undefined) throw new RangeError(`${nest.name} has no element`)
  const body = withChoices(withoutDead(simplified(nest)))
  const numbers = new Map<number, number>()
  eachAccess(body, ({ kind, space }) => {
    if (kind === 'load' && !numbers.has(space)) numbers.set(space, numbers.size)
  })
  const taken = new Set<string>()
  const fresh = naming(taken)
  const functions = new Map<string, Named>()
  const counters = loops.map(l => fresh(l.name))
  const lines = printBody(body, nest.params, {
    array: space => ({ name: `$${numbers.get(space)!}$`, dtype: dtypeOf(space) }),
    name: fresh,
    known: new Map(loops.map((l, i) => [l.id, counters[i]!])),
    need: named => {
      const { name } = functionOf(named)
      functions.set(name, named)
      return name
    },
    given: [[element, made === 'i32' || made === 'u32' ? 'int_div(this.thread.x, 2)' : 'this.thread.x']],
  })
  return { inputs: [...numbers.keys()], counters, lines, functions, taken }
}

/** The text of the kernel that a template becomes. */
export const fill = ({ inputs, counters, lines, taken }: Template, about: About): string => {
  const fresh = naming(new Set(taken))
  const names = inputs.map(space => fresh(about.names(space)))
  const head = [about.name, about.places.join(', ')].filter(x => x !== '').join('  ')
  return [
    `function (${[...names, ...counters].join(', ')}) {`,
    ...(head === '' ? [] : [`  // ${head}`]),
    ...lines.map(line => line.replace(/\$(\d+)\$/g, (_, i: string) => names[Number(i)]!)),
    '}',
  ].join('\n')
}

/** The text of a template without names: equal for gathers that differ in names alone. */
export const plain = (template: Template): string => fill(template, { name: '', places: [], names: () => 'given' })
