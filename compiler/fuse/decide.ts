/**
 * Which values of a function get a buffer of their own, and which are recomputed inside the kernels that use them.
 *
 * Reductions and contractions always get one (a later element-wise value may still join their kernel as an epilogue).
 * Reshapes, transposes and the like never do: they only change indices. An element-wise value is inlined where that
 * costs less than a trip through memory, judged by how it is used: `Use` follows a value through the index-only
 * operations to the computations that really read it.
 */
import type { Prim } from '../../dsl/core/prim.ts'
import type { Func, Id, Op } from '../ir/ir.ts'

export type Role =
  /** Only indices change: reshape, transpose, broadcast, slice, flip, and constants made from the index. */
  | 'view'
  /** Cheap arithmetic. */
  | 'cheap'
  /** A transcendental function, or a block of Threefry: worth storing rather than repeating. */
  | 'dear'
  /** Chooses between operands by index: concat, pad. */
  | 'choice'
  /** Reads memory at a computed index. */
  | 'lookup'
  | 'reduction'
  /** Data in a buffer. */
  | 'leaf'

export const roles: { readonly [P in Prim]: Role } = {
  fill: 'view', literal: 'leaf', iota: 'view', randomBits: 'dear',
  neg: 'cheap', abs: 'cheap', sign: 'cheap', floor: 'cheap', exp: 'dear', log: 'dear', log1p: 'dear', expm1: 'dear', sqrt: 'cheap', rsqrt: 'cheap',
  sin: 'dear', cos: 'dear', tanh: 'dear', sigmoid: 'dear', softplus: 'dear', pow: 'dear', not: 'cheap', cast: 'cheap', stopGradient: 'view',
  add: 'cheap', sub: 'cheap', mul: 'cheap', div: 'cheap', maximum: 'cheap', minimum: 'cheap', and: 'cheap', or: 'cheap', xor: 'cheap', shl: 'cheap', shr: 'cheap',
  eq: 'cheap', ne: 'cheap', lt: 'cheap', le: 'cheap', gt: 'cheap', ge: 'cheap', select: 'cheap',
  reshape: 'view', transpose: 'view', broadcast: 'view', concat: 'choice', slice: 'view', pad: 'choice', flip: 'view', gather: 'lookup',
  sum: 'reduction', max: 'reduction', min: 'reduction', contract: 'reduction',
}

/** How a value is read in the end: once an element (by a reduction or not), repeatedly within a contraction or in every step of a scan. */
type Use = { readonly by: 'element' | 'reduce' | 'contract' | 'scan' | 'result'; readonly growth: number }

const numel = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1)

const usesOf = (func: Func, sizes: ReadonlyMap<Id, number>): ReadonlyMap<Id, readonly Use[]> => {
  const uses = new Map<Id, Use[]>()
  const note = (id: Id, use: Use): void => {
    const list = uses.get(id)
    if (list === undefined) uses.set(id, [use])
    else if (list.length < 8) list.push(use)
  }
  for (const id of func.results) note(id, { by: 'result', growth: 1 })
  for (const inst of [...func.insts].reverse()) {
    if (inst.kind === 'scan') {
      for (const id of inst.init) note(id, { by: 'element', growth: 1 })
      for (const id of [...inst.consts, ...inst.xs]) note(id, { by: 'scan', growth: 1 })
      continue
    }
    const role = roles[inst.prim]
    for (const id of inst.inputs) {
      if (inst.prim === 'contract') note(id, { by: 'contract', growth: 1 })
      else if (role === 'view') {
        const growth = Math.max(1, numel(inst.aval.shape) / Math.max(1, sizes.get(id) ?? 1))
        for (const use of uses.get(inst.id) ?? []) note(id, { by: use.by, growth: use.growth * growth })
      } else note(id, { by: role === 'reduction' ? 'reduce' : 'element', growth: 1 })
    }
  }
  return uses
}

/** Of computing one element anew: operations, branches, reshapes one after the other, and what it reads. */
type Cost = { readonly ops: number; readonly dear: boolean; readonly choices: number; readonly reshapes: number; readonly loads: ReadonlySet<Id> }
const free: Cost = { ops: 0, dear: false, choices: 0, reshapes: 0, loads: new Set() }

/** Reshapes that cut across each other can double the size of an index each: so many are composed, then the value is stored. */
const mostReshapes = 5

/** The instructions that read each value; a result counts as one more reader. */
const readersOf = (func: Func): ReadonlyMap<Id, readonly (Op | null)[]> => {
  const readers = new Map<Id, (Op | null)[]>()
  const note = (id: Id, by: Op | null): void => {
    const list = readers.get(id)
    if (list === undefined) readers.set(id, [by])
    else list.push(by)
  }
  for (const inst of func.insts)
    if (inst.kind === 'op') inst.inputs.forEach(id => note(id, inst))
    else [...inst.consts, ...inst.init, ...inst.xs].forEach(id => note(id, null))
  func.results.forEach(id => note(id, null))
  return readers
}

/** The ids of `func` that are stored. Parameters, scan results and literals are buffers anyway and not listed. */
export const decide = (func: Func): ReadonlySet<Id> => {
  const sizes = new Map<Id, number>()
  for (const p of func.params) sizes.set(p.id, numel(p.aval.shape))
  for (const inst of func.insts)
    if (inst.kind === 'op') sizes.set(inst.id, numel(inst.aval.shape))
    else inst.ids.forEach((id, i) => sizes.set(id, numel(inst.avals[i]!.shape)))
  const uses = usesOf(func, sizes)
  const readers = readersOf(func)
  const stored = new Set<Id>()
  const results = new Set(func.results)
  const costs = new Map<Id, Cost>()
  /** Of a stored value: the stored value from which it, and others in the same kernel, follow element by element. */
  const anchors = new Map<Id, Id>()
  const leaf = (id: Id): Cost => ({ ...free, loads: new Set([id]) })

  const inlined = (op: Op): Cost => {
    const role = roles[op.prim]
    const inputs = op.inputs.map(id => costs.get(id) ?? leaf(id))
    return {
      ops: inputs.reduce((n, c) => n + c.ops, role === 'view' ? 0 : role === 'dear' ? 10 : 1),
      dear: role === 'dear' || inputs.some(c => c.dear),
      choices: inputs.reduce((n, c) => n + c.choices, role === 'choice' || role === 'lookup' ? Math.max(1, Math.ceil(Math.log2(inputs.length))) : 0),
      reshapes: inputs.reduce((n, c) => Math.max(n, c.reshapes), 0) + (op.prim === 'reshape' ? 1 : 0),
      loads: new Set(inputs.flatMap(c => [...c.loads])),
    }
  }

  /** Whether all that is read of `id` is read, by element-wise operations, on the way to `op`: with `op` stored, it need not be. */
  const leadsOnlyTo = (id: Id, op: Op, left = 6): boolean =>
    left > 0 && (readers.get(id) ?? []).every(by => by === op || (by !== null && ['cheap', 'dear'].includes(roles[by.prim]) && !stored.has(by.id) && leadsOnlyTo(by.id, op, left - 1)))

  /** The stored values of the same size that a value is computed from follow from one of them: that one, or undefined. */
  const anchorOf = (op: Op, cost: Cost): Id | undefined => {
    const from = new Set([...cost.loads].flatMap(id => (stored.has(id) && sizes.get(id) === sizes.get(op.id) ? [anchors.get(id)] : [])))
    return from.size === 1 ? [...from][0] : undefined
  }

  const store = (op: Op, cost: Cost): boolean => {
    const role = roles[op.prim]
    if (role === 'reduction') return true
    if (cost.reshapes > mostReshapes) return true
    if (role === 'view' || role === 'leaf') return false
    if (results.has(op.id)) return true
    const at = uses.get(op.id) ?? []
    const growth = Math.max(0, ...at.map(u => u.growth))
    const by = (kind: Use['by']): boolean => at.some(u => u.by === kind)
    if (by('scan')) return cost.ops > 0 || cost.choices > 0
    if (cost.dear && (at.length > 1 || growth > 1 || by('contract'))) return true
    if (by('contract') && (cost.ops > 4 || cost.loads.size > 2 || cost.choices > 0)) return true
    // Stored in place of its operand, whose only use it is: no more memory, less to repeat.
    const replaces = (id: Id): boolean => stored.has(id) && (uses.get(id) ?? []).length === 1 && sizes.get(id) === sizes.get(op.id)
    if (at.length > 1 && op.inputs.some(replaces)) return true
    const elementwise = role === 'cheap' || role === 'dear'
    if (elementwise && (at.length > 1 || by('contract')) && [...cost.loads].some(id => stored.has(id) && sizes.get(id) === sizes.get(op.id) && leadsOnlyTo(id, op))) return true
    // What is summed, written beside what it is made of: one array to read again instead of several.
    const arrays = [...cost.loads].filter(id => sizes.get(id) === sizes.get(op.id)).length
    if (elementwise && by('reduce') && arrays > 2 && anchorOf(op, cost) !== undefined) return true
    if (at.length > 1 && (cost.loads.size > 2 || cost.ops > 6 || cost.choices > 1)) return true
    if (growth > 1 && cost.ops > 4) return true
    return cost.ops > 200 || cost.loads.size > 12 || cost.choices > 8
  }

  for (const inst of func.insts) {
    if (inst.kind === 'scan') {
      for (const id of inst.ids) costs.set(id, leaf(id))
      continue
    }
    const cost = inlined(inst)
    const kept = store(inst, cost)
    if (kept) {
      anchors.set(inst.id, anchorOf(inst, cost) ?? inst.id)
      stored.add(inst.id)
    }
    costs.set(inst.id, kept || roles[inst.prim] === 'leaf' ? leaf(inst.id) : cost)
  }
  return stored
}
