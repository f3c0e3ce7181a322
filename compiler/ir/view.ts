/**
 * Small readings of the IR that every pass needs: what an instruction defines and uses, sizes, structural equality.
 */
import type { Aval } from '../../dsl/core/prim.ts'
import type { Func, Id, Inst, Op, Origin, Scan } from './ir.ts'

/** The origin of an instruction that stands for no place in a model's source. */
export const nowhere: Origin = { file: '', line: 0, column: 0, name: '' }

/** The values that an instruction defines. */
export const defined = (inst: Inst): readonly Id[] => (inst.kind === 'op' ? [inst.id] : inst.ids)

/** The values that an instruction reads, with repetition. */
export const used = (inst: Inst): readonly Id[] => (inst.kind === 'op' ? inst.inputs : [...inst.consts, ...inst.init, ...inst.xs])

/** Number of elements. */
export const count = (shape: readonly number[]): number => shape.reduce((n, size) => n * size, 1)

export const sameList = (a: readonly unknown[], b: readonly unknown[]): boolean => a.length === b.length && a.every((x, i) => Object.is(x, b[i]))

export const sameAval = (a: Aval, b: Aval): boolean => a.dtype === b.dtype && sameList(a.shape, b.shape)

/** `f32[3, 64]`; a scalar is `f32[]`. */
export const showAval = (a: Aval): string => `${a.dtype}[${a.shape.join(', ')}]`

/** The type of every value of a function, by id (bodies of scans excluded). */
export const avalsOf = (func: Func): ReadonlyMap<Id, Aval> => {
  const avals = new Map<Id, Aval>()
  for (const param of func.params) avals.set(param.id, param.aval)
  for (const inst of func.insts) {
    if (inst.kind === 'op') avals.set(inst.id, inst.aval)
    else inst.ids.forEach((id, i) => avals.set(id, at(inst.avals, i)))
  }
  return avals
}

/** Element `i` of a list that has one: an absent element is a bug of the caller, not a case. */
export const at = <T>(list: readonly T[], i: number): T => {
  const x = list[i]
  if (x === undefined) throw new RangeError(`no element ${i} in a list of ${list.length}`)
  return x
}

/** 0, 1, ..., n-1 */
export const range = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i)

/** The parts of a scan's body: parameters [...consts, ...carries, ...slices], results [...carries, ...ys]. */
export const partsOf = (scan: Pick<Scan, 'consts' | 'init' | 'xs' | 'body'>) => {
  const { params, results } = scan.body
  const carriesAt = scan.consts.length
  const slicesAt = carriesAt + scan.init.length
  return {
    consts: params.slice(0, carriesAt),
    carries: params.slice(carriesAt, slicesAt),
    slices: params.slice(slicesAt),
    next: results.slice(0, scan.init.length),
    ys: results.slice(scan.init.length),
  }
}

/** Number of instructions, bodies of scans included. */
export const sizeOfFunc = (func: Func): number => func.insts.reduce((n, inst) => n + 1 + (inst.kind === 'scan' ? sizeOfFunc(inst.body) : 0), 0)

/** The definition of every value that an op defines. */
export const opsById = (func: Func): ReadonlyMap<Id, Op> => new Map(func.insts.flatMap(inst => (inst.kind === 'op' ? [[inst.id, inst] as const] : [])))
