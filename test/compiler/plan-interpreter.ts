/**
 * A direct float64 interpreter of plans, slow and obvious: the meaning of compiler/schedule/kernel/kernel.ts. Element-wise
 * primitives take their meaning from the eager language.
 */
import { allocate, type Data } from '../../dsl/core/dense.ts'
import { evaluate } from '../../dsl/core/eager.ts'
import { stream } from '../../dsl/core/threefry.ts'
import type { Expr, Guard, Index, Kernel, Plan, Step, Var } from '../../compiler/schedule/kernel/kernel.ts'
import type { Attrs } from '../../dsl/core/prim.ts'

const opposite = { sum: 0, max: -Infinity, min: Infinity } as const

/** Where a buffer is part of another one: from this element on. */
export type Within = ReadonlyMap<number, { readonly of: number; readonly from: number }>

/** Runs a plan on the contents of its buffers (missing ones start as zeros); returns all buffers afterwards. */
export const interpret = (plan: Plan, given: ReadonlyMap<number, ArrayLike<number>>, within: Within = new Map()): readonly Data[] => {
  const sizeOf = (id: number): number => plan.buffers[id]!.aval.shape.reduce((n, s) => n * s, 1)
  const wholes = new Map([...within.values()].map(({ of }) => [of, allocate(plan.buffers[of]!.aval.dtype, sizeOf(of))]))
  const buffers = plan.buffers.map(({ id, aval, role }) => {
    const part = within.get(id)
    const data = wholes.get(id) ?? (part === undefined ? allocate(aval.dtype, sizeOf(id)) : wholes.get(part.of)!.subarray(part.from, part.from + sizeOf(id)))
    const from = given.get(id) ?? (role.kind === 'constant' ? role.data : [])
    data.set(from as number[])
    return data
  })
  const at = new Map<number, number>()
  let acc = 0
  let memo = new Map<Expr, number>()
  const index = (i: Index): number => i.terms.reduce((sum, { coef, atom }) => sum + coef * atomOf(atom), i.offset)
  const atomOf = (atom: Index['terms'][number]['atom']): number => {
    switch (atom.kind) {
      case 'var': {
        const x = at.get(atom.id)
        if (x === undefined) throw new RangeError(`variable ${atom.id} is not in scope`)
        return x
      }
      case 'div':
        return Math.floor(index(atom.of) / atom.by)
      case 'mod':
        return ((index(atom.of) % atom.by) + atom.by) % atom.by
      case 'value':
        return value(atom.expr)
    }
  }
  const holds = (g: Guard): boolean => {
    const x = index(g.of)
    return x >= 0 && x < g.below && x % g.by === 0
  }
  const value = (e: Expr): number => {
    const known = memo.get(e)
    if (known !== undefined) return known
    const x = compute(e)
    memo.set(e, x)
    return x
  }
  const compute = (e: Expr): number => {
    switch (e.kind) {
      case 'const':
        return e.value
      case 'load': {
        const data = buffers[e.buffer]!
        const i = index(e.at)
        if (!(i >= 0 && i < data.length)) throw new RangeError(`load of element ${i} of ${data.length} of buffer ${e.buffer}`)
        return data[i]!
      }
      case 'index':
        return index(e.of)
      case 'op': {
        const args = e.args.map(value)
        if (e.dtype === 'f32' && e.prim === 'mul') return args[0]! * args[1]!
        if (e.dtype === 'f32' && e.prim === 'add') return args[0]! + args[1]!
        const dense = e.args.map((a, i) => {
          const data = allocate(a.dtype, 1)
          data[0] = args[i]!
          return { shape: [], dtype: a.dtype, data }
        })
        const attrs = (e.prim === 'pow' ? { exponent: e.exponent } : e.prim === 'cast' ? { dtype: e.dtype } : {}) as Attrs['pow'] // one record for all element-wise prims
        return evaluate(e.prim as 'pow', dense, attrs).data[0]!
      }
      case 'when':
        return e.guards.every(holds) ? value(e.then) : value(e.otherwise)
      case 'random':
        return stream(value(e.key0), value(e.key1), index(e.of) + 1)[index(e.of)]!
      case 'acc':
        return acc
    }
  }
  const over = (vars: readonly Var[], body: () => void): void => {
    const [first, ...rest] = vars
    if (first === undefined) return body()
    for (let i = 0; i < first.size; i += 1) {
      at.set(first.id, i)
      over(rest, body)
    }
  }
  const fresh = (e: Expr): number => {
    memo = new Map()
    return value(e)
  }
  const kernel = (k: Kernel): void => {
    const { reduction } = k
    const writes: (() => void)[] = []
    over(k.vars, () => {
      if (reduction !== null) {
        acc = reduction.kind === 'product' ? 0 : opposite[reduction.op]
        over(reduction.vars, () => {
          if (reduction.kind === 'product') acc += fresh(reduction.a) * fresh(reduction.b)
          else {
            const x = fresh(reduction.value)
            acc = reduction.op === 'sum' ? acc + x : reduction.op === 'max' ? Math.max(acc, x) : Math.min(acc, x)
          }
        })
      }
      for (const s of k.stores) {
        const x = fresh(s.value)
        const i = index(s.at)
        writes.push(() => {
          buffers[s.buffer]![i] = x
        })
      }
    })
    for (const write of writes) write()
  }
  const step = (s: Step): void => {
    switch (s.kind) {
      case 'kernel':
        return kernel(s)
      case 'copy':
        return buffers[s.to]!.set(buffers[s.from]! as Float64Array)
      case 'loop':
        for (let i = 0; i < s.counter.size; i += 1) {
          // independent turns may come in any order: here, backwards
          at.set(s.counter.id, s.independent === true ? s.counter.size - 1 - i : i)
          s.steps.forEach(step)
        }
    }
  }
  plan.steps.forEach(step)
  return buffers
}
