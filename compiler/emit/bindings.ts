/**
 * The typed bindings of a build: `build/bindings.ts` names every program with the trees of arrays it takes and gives, so
 * that a call with a wrong name or shape is a compile-time error of the caller.
 */
import type { DType } from '../../dsl/core/prim.ts'
import { type Tree, fromPaths, segments } from '../../runtime/paths.ts'

export type Port = { readonly path: string; readonly shape: readonly number[]; readonly dtype: DType }

const isPort = (tree: Tree<Port>): tree is Port => 'shape' in tree && 'dtype' in tree && Array.isArray(tree.shape)
const name = (key: string): string => (/^[A-Za-z_$][\w$]*$/.test(key) ? key : `'${key}'`)

/** The tree of ports as a type. */
export const treeType = (tree: Tree<Port>, indent: string): string => {
  if (isPort(tree)) return `Arr<[${tree.shape.join(', ')}]${tree.dtype === 'f32' ? '' : `, '${tree.dtype}'`}>`
  if (Array.isArray(tree)) return `readonly [${tree.map((child: Tree<Port>) => treeType(child, indent)).join(', ')}]`
  const fields = Object.entries(tree).map(([key, child]) => `${indent}  readonly ${name(key)}: ${treeType(child, `${indent}  `)}`)
  return fields.length === 0 ? '{}' : `{\n${fields.join('\n')}\n${indent}}`
}

/** The first step of a path: the argument that it belongs to. */
export const headOf = (path: string): string => {
  const first = segments(path)[0]
  return first === undefined ? '' : first.kind === 'key' ? first.key : `[${first.index}]`
}

/** One line: top-level arguments with their shapes, or how many arrays a tree of them holds. */
export const signature = (inputs: readonly Port[], outputs: readonly Port[]): string => {
  const show = (p: Port): string => `${p.dtype}[${p.shape.join(', ')}]`
  const side = (ports: readonly Port[]): readonly string[] => {
    const heads = new Map<string, Port[]>()
    for (const p of ports) {
      const head = headOf(p.path)
      heads.set(head, [...(heads.get(head) ?? []), p])
    }
    return [...heads].map(([head, all]) => {
      const one = all[0]!
      const label = head === '' ? '' : `${head}: `
      if (all.length === 1 && segments(one.path).length <= 1) return `${label}${show(one)}`
      if (all.length <= 4) return `${label}{ ${all.map(p => `${p.path.slice(head.length).replace(/^\./, '')}: ${show(p)}`).join(', ')} }`
      return `${label}{ ${all.length} arrays, ${all.reduce((n, p) => n + p.shape.reduce((a, b) => a * b, 1), 0)} elements }`
    })
  }
  return `(${side(inputs).join(', ')}) -> ${side(outputs).join(', ') || 'nothing'}`
}

export type Bound = { readonly id: string; readonly inputs: readonly Port[]; readonly outputs: readonly Port[] }

const treeOf = (ports: readonly Port[]): string => treeType(fromPaths(ports.map(p => [p.path, p])), '    ')

/** The whole file. */
export const bindings = (programs: readonly Bound[], runtime: string): string =>
  [
    '// Made by `vdsm compile`; changes are lost at the next one.',
    `import type { Arr } from '${runtime}'`,
    '',
    '/** Every compiled program: what it takes and what it gives. */',
    'export type Programs = {',
    ...programs.map(p => `  readonly '${p.id}': {\n    readonly inputs: ${treeOf(p.inputs)}\n    readonly outputs: ${treeOf(p.outputs)}\n  }`),
    '}',
    '',
  ].join('\n')
