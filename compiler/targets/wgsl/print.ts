/**
 * One WGSL module for one dispatch: its buffers, counters and workgroup memory, the functions it calls, and `main`. A line
 * `alias tile_t = f32;` says what workgroup memory for f32 is kept in: with `enable f16;` before all else and
 * `alias tile_t = f16;` instead, it is kept in half precision, and computed with in f32 all the same.
 */
import type { DType } from '../../../dsl/core/prim.ts'
import { type Dispatch, type Shared, needsSubgroups } from '../../schedule/gpu/dispatch.ts'
import { type Nest, type Scalar, type Value, lanesOf, scalarOf } from '../../schedule/nest/nest.ts'
import { eachAccess } from '../../schedule/nest/accesses.ts'
import { spacesOf } from '../../schedule/nest/spaces.ts'
import { withoutDead } from '../text/dead.ts'
import { type Helper, callee, definition } from './functions.ts'
import { naming } from './names.ts'
import { type Memory, printBody } from './body.ts'
import { matrixExtensions } from './matrix.ts'
import { inVectors } from './quarter.ts'
import { type Block, placesOf } from '../text/scope.ts'

export { wgsl } from './functions.ts'

/**
 * What a reader wants to know: the kernel's name, its source lines, more lines for the head of the module, and what buffers
 * are called. Of two dispatches that differ in these alone, the modules printed `{ name: '', places: [], notes: [] }` are equal.
 */
export type About = {
  readonly name: string
  readonly places: readonly string[]
  readonly notes: readonly string[]
  readonly names?: (space: number) => string
}
export type Bound = { readonly space: number; readonly access: 'read' | 'write' }
export type Printed = { readonly code: string; readonly bindings: readonly Bound[] }

/** The most workgroups along one side of a grid. */
const side = 65535

/** Spaces in the order in which a nest comes to them. */
const inOrder = (body: Block): readonly number[] => {
  const seen = new Set<number>()
  eachAccess(body, ({ space }) => seen.add(space))
  return [...seen]
}

/** The values of locals that never change. */
const definitions = ({ body, params }: Nest): ((id: number) => Value | undefined) => {
  const places = placesOf(body, params, { position: () => 4, steady: () => false })
  const found = new Map<number, Value>()
  const block = (stmts: Block): void => {
    for (const s of stmts) {
      if (s.kind === 'set' && ['let', 'inline'].includes(places.get(s.local.id)?.kind ?? '')) found.set(s.local.id, s.value)
      if (s.kind === 'if') [s.then, s.otherwise].forEach(block)
      if (s.kind === 'for') block(s.body)
    }
  }
  block(body)
  return id => found.get(id)
}

/**
 * A module in which the buffers have no names yet: in the text they are `$0$`, `$1$`, ... in the order of their bindings, and `head`,
 * the lines after the comments, stands before their declarations. Templates of dispatches that differ in the names of buffers alone are equal.
 */
export type Template = {
  readonly head: readonly string[]
  /** Of every buffer, in the order of bindings: what its elements are, and what the nest does with it. */
  readonly bound: readonly { readonly space: number; readonly element: string; readonly access: Bound['access'] }[]
  readonly rest: string
  /** Names that stand in the text. */
  readonly taken: ReadonlySet<string>
}

/** The module that a template becomes, with names for its buffers; `writable` are bound for writing though the nest only reads them. */
export const fill = ({ head, bound, rest, taken }: Template, about: About, writable: ReadonlySet<number> = new Set()): Printed => {
  const fresh = naming(new Set(taken))
  const bindings = bound.map(({ space, access }): Bound => ({ space, access: writable.has(space) ? 'write' : access }))
  const names = bound.map(({ space, access }) => fresh(about.names?.(space) ?? (access === 'write' ? 'result' : 'given')))
  const first = [about.name, about.places.join(', ')].filter(x => x !== '').join('  ')
  const lines = [
    ...(first === '' ? [] : [`// ${first}`]),
    ...about.notes.map(note => `// ${note}`),
    ...head,
    ...bound.map(({ element }, i) =>
      `@group(0) @binding(${i}) var<storage, ${bindings[i]!.access === 'write' ? 'read_write' : 'read'}> ${names[i]!}: array<${element}>;`),
  ]
  return { code: `${lines.map(line => `${line}\n`).join('')}${rest.replace(/\$(\d+)\$/g, (_, i: string) => names[Number(i)]!)}`, bindings }
}

/**
 * The module of a dispatch. `buffers` says what the elements of a space are, null for one that is no buffer; `counters` is
 * how many loops enclose the kernel; `writable` has buffers that are bound for writing though the nest only reads them.
 * `bindings`: the spaces at @group(0) @binding(0), (1), ... in order.
 */
export const printDispatch = (
  dispatch: Dispatch, about: About, buffers: (space: number) => DType | null, counters: number, writable: ReadonlySet<number> = new Set(),
): Printed => fill(templateOf(dispatch, buffers, counters), about, writable)

/** What the elements of workgroup memory are kept in, where that is another type. */
const keptAs = (of: Scalar, kept: Shared['kept']): Memory['kept'] =>
  of === 'bool' ? 'bool' : of !== 'f32' || kept === 'full' ? null : kept === 'half' ? 'f16' : 'tile_t'

/** Prints a dispatch but for the names of its buffers. */
export const templateOf = (dispatch: Dispatch, buffers: (space: number) => DType | null, counters: number): Template => {
  const { nest, threads, shared, quads, subgroup } = dispatch
  const local = new Map(shared.map(s => [s.space, s]))
  const wide = (space: number): boolean => quads.has(space) || lanesOf(local.get(space)?.type ?? 'f32') === 4
  const { reads, writes } = spacesOf(nest)

  const vectors = quads.size > 0 || shared.some(s => lanesOf(s.type) === 4)
  const body = withoutDead(vectors ? inVectors(nest.body, wide, definitions(nest)) : nest.body)

  const taken = new Set<string>()
  const fresh = naming(taken)
  const used = inOrder(body)
  const bound = used.filter(space => !local.has(space))
  const spaces = new Map<number, Memory>()
  for (const [i, space] of bound.entries()) {
    const dtype = buffers(space)
    if (dtype === null) throw new RangeError(`space ${space} of ${nest.name} is neither a buffer nor workgroup memory`)
    spaces.set(space, { name: `$${i}$`, wide: wide(space), kept: dtype === 'bool' ? 'bool' : null, steady: !writes.has(space) })
  }
  const tiles = shared.filter(s => used.includes(s.space))
  for (const { space, type, kept } of tiles) {
    const of = scalarOf(type)
    spaces.set(space, { name: fresh('tile'), wide: wide(space), kept: keptAs(of, kept), steady: false })
  }
  const memory = (space: number): Memory => {
    const found = spaces.get(space)
    if (found === undefined) throw new RangeError(`space ${space} of ${nest.name} is not known`)
    return found
  }

  const helpers = new Map<string, readonly string[]>()
  const need = (helper: Helper): string => {
    const name = callee(helper)
    if (!helpers.has(name)) {
      helpers.set(name, [])
      const text = definition(helper, need)
      helpers.delete(name)
      helpers.set(name, text)
    }
    return name
  }

  const [group, thread, ...loops] = nest.params.filter(p => p !== subgroup)
  if (group === undefined || thread === undefined || loops.length !== counters)
    throw new RangeError(`${nest.name} has ${nest.params.length} parameters for ${counters} counters`)
  const known = new Map(nest.params.map(p => [p.id, fresh(p.name)]))
  const uniforms = loops.map(l => fresh(`${l.name}_counter`))
  const both = bound.some(space => reads.has(space) && writes.has(space))
  const barrier = [...(tiles.length > 0 || !both ? ['workgroupBarrier();'] : []), ...(both ? ['storageBarrier();'] : [])]
  const lines = printBody(body, nest.params, { memory, name: fresh, known, need, barrier })

  const [groupName, threadName] = [known.get(group.id)!, known.get(thread.id)!]
  const grid = nest.extent > side
  const arrayOf = (element: string, four: boolean): string => (four ? `vec4<${element}>` : element)
  const declared = [
    ...uniforms.map((name, i) => `@group(1) @binding(${i}) var<uniform> ${name}: vec4<i32>;`),
    ...tiles.map(({ space, type, elements }) => {
      const { name, wide: four, kept } = memory(space)
      const element = kept === 'bool' ? 'u32' : kept ?? scalarOf(type)
      return `var<workgroup> ${name}: array<${arrayOf(element, four)}, ${lanesOf(type) === 4 || !four ? elements : Math.ceil(elements / 4)}>;`
    }),
  ]
  const main = [
    `@compute @workgroup_size(${threads})`,
    `fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local_index: u32${
      subgroup === undefined ? '' : ', @builtin(subgroup_id) subgroup_index: u32'}) {`,
    `  let ${groupName} = i32(workgroup.x${grid ? ` + workgroup.y * ${side}u` : ''});`,
    ...(grid ? [`  if (${groupName} >= ${nest.extent}) {`, '    return;', '  }'] : []),
    `  let ${threadName} = i32(local_index);`,
    ...(subgroup === undefined ? [] : [`  let ${known.get(subgroup.id)!} = i32(subgroup_index);`]),
    ...loops.map((l, i) => `  let ${known.get(l.id)} = ${uniforms[i]}.x;`),
    ...lines,
    '}',
  ]
  const extensions = subgroup !== undefined ? matrixExtensions : needsSubgroups(dispatch) ? ['subgroups'] : []
  const functions = [...helpers.values(), main].map(part => part.join('\n')).join('\n\n')
  return {
    head: [
      ...extensions.map(name => `enable ${name};`),
      ...(tiles.some(t => memory(t.space).kept === 'tile_t') ? ['alias tile_t = f32;'] : []),
    ],
    bound: bound.map(space => {
      const dtype = buffers(space)!
      return { space, element: arrayOf(dtype === 'bool' ? 'u32' : dtype, memory(space).wide), access: writes.has(space) ? 'write' : 'read' }
    }),
    rest: `${declared.map(line => `${line}\n`).join('')}\n${functions}\n`,
    taken,
  }
}
