/** Kernels as readable text: what `--explain` shows and what snapshots compare. */
import type { Expr, Guard, Index, Kernel, Plan, Reduction, Step } from './kernel.ts'
import { expressions, walk } from './walk.ts'

const infix: Readonly<Record<string, string>> = { add: '+', sub: '-', mul: '*', div: '/', eq: '==', ne: '!=', lt: '<', le: '<=', gt: '>', ge: '>=', and: '&', or: '|', xor: '^', shl: '<<', shr: '>>' }
const number = (x: number): string => (Number.isInteger(x) ? `${x}` : `${Number(x.toPrecision(7))}`)

type Names = { readonly variable: (id: number) => string; readonly buffer: (id: number) => string }

const printer = (names: Names) => {
  const index = (i: Index, inside: (e: Expr) => string): string => {
    const term = ({ coef, atom }: Index['terms'][number]): string => {
      const text = ((): string => {
        switch (atom.kind) {
          case 'var':
            return names.variable(atom.id)
          case 'div':
            return `(${index(atom.of, inside)})/${atom.by}`
          case 'mod':
            return `(${index(atom.of, inside)})%${atom.by}`
          case 'value':
            return inside(atom.expr)
        }
      })()
      return coef === 1 ? text : `${coef}*${text}`
    }
    const parts = [...i.terms].sort((a, b) => b.coef - a.coef).map(term)
    return [...parts, ...(i.offset !== 0 || parts.length === 0 ? [`${i.offset}`] : [])].join(' + ').replaceAll('+ -', '- ')
  }
  const guard = (g: Guard, inside: (e: Expr) => string): string => `0 <= ${index(g.of, inside)} < ${g.below}${g.by === 1 ? '' : ` by ${g.by}`}`
  return { index, guard }
}

const kernelText = (kernel: Kernel, plan: Plan, variable: (id: number) => string): readonly string[] => {
  const names: Names = { variable, buffer: id => `${plan.buffers[id]!.name}#${id}` }
  const { index, guard } = printer(names)
  const roots = expressions(kernel)
  // An expression used more than once, other than a leaf, gets a name.
  const counts = new Map<Expr, number>()
  const children = (e: Expr): readonly Expr[] => (e.kind === 'op' ? e.args : e.kind === 'when' ? [e.then, e.otherwise] : e.kind === 'random' ? [e.key0, e.key1] : [])
  walk(roots, e => children(e).forEach(c => counts.set(c, (counts.get(c) ?? 0) + 1)))
  roots.forEach(r => counts.set(r, (counts.get(r) ?? 0) + 1))
  const temps = new Map<Expr, string>()
  const lines: string[] = []
  const text = (e: Expr): string => {
    const known = temps.get(e)
    if (known !== undefined) return known
    const body = plainText(e)
    if ((counts.get(e) ?? 0) < 2 || e.kind === 'const' || e.kind === 'acc' || e.kind === 'index' || e.kind === 'load') return body
    const name = `u${temps.size}`
    temps.set(e, name)
    lines.push(`  let ${name} = ${body}`)
    return name
  }
  const plainText = (e: Expr): string => {
    switch (e.kind) {
      case 'const':
        return number(e.value)
      case 'acc':
        return 'acc'
      case 'load':
        return `${names.buffer(e.buffer)}[${index(e.at, text)}]`
      case 'index':
        return `${e.dtype}(${index(e.of, text)})`
      case 'op': {
        const [a, b] = e.args
        const sign = infix[e.prim]
        if (sign !== undefined && a !== undefined && b !== undefined) return `(${text(a)} ${sign} ${text(b)})`
        return `${e.prim === 'cast' ? e.dtype : e.prim}(${e.args.map(text).join(', ')}${e.exponent === undefined ? '' : `, ${number(e.exponent)}`})`
      }
      case 'when':
        return `(${e.guards.map(g => guard(g, text)).join(' and ')} ? ${text(e.then)} : ${text(e.otherwise)})`
      case 'random':
        return `threefry(${text(e.key0)}, ${text(e.key1)}, ${index(e.of, text)})`
    }
  }
  const over = (vars: Kernel['vars']): string => vars.map(v => `${v.name} < ${v.size}`).join(', ')
  const reduction = (r: Reduction): string =>
    `  acc = ${r.kind === 'product' ? 'sum' : r.op} over ${over(r.vars) || 'nothing'} of ${r.kind === 'product' ? `${text(r.a)} * ${text(r.b)}` : text(r.value)}`
  const first = kernel.reduction === null ? [] : [reduction(kernel.reduction)]
  const prologue = lines.splice(0)
  const stores = kernel.stores.map(s => `  ${names.buffer(s.buffer)}[${index(s.at, text)}] = ${text(s.value)}`)
  const places = [...new Set(kernel.origins.map(o => `${o.file}:${o.line}`))].slice(0, 6)
  return [`kernel ${kernel.name} for ${over(kernel.vars) || 'one element'}  // ${places.join(', ')}`, ...prologue, ...first, ...lines, ...stores]
}

export const printPlan = (plan: Plan): string => {
  const names = new Map<number, string>()
  const declare = (vars: Kernel['vars']): void => vars.forEach(v => names.set(v.id, v.name))
  const variable = (id: number): string => names.get(id) ?? `v${id}`
  const step = (s: Step, indent: string): readonly string[] => {
    switch (s.kind) {
      case 'copy':
        return [`${indent}copy ${plan.buffers[s.from]!.name}#${s.from} -> ${plan.buffers[s.to]!.name}#${s.to}`]
      case 'loop':
        names.set(s.counter.id, `t${indent.length === 0 ? '' : indent.length / 2}`)
        return [`${indent}${s.independent === true ? 'blocks' : 'loop'} ${variable(s.counter.id)} < ${s.counter.size}`, ...s.steps.flatMap(inner => step(inner, `${indent}  `))]
      case 'kernel':
        declare(s.vars)
        if (s.reduction !== null) declare(s.reduction.vars)
        return kernelText(s, plan, variable).map(line => `${indent}${line}`)
    }
  }
  return plan.steps.flatMap(s => step(s, '')).join('\n')
}
