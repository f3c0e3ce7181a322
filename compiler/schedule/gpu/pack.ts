/**
 * Kernels that do the same to many arrays become one kernel over all of them: an optimiser's step over every parameter, the sum of the squares
 * of every gradient. The arrays of each role - parameters, first moments, gradients - are laid out side by side in one slot, each at a multiple of
 * 256 bytes, in one order for all roles; the one kernel runs over the whole range. What it makes of the gaps nobody reads; of arrays
 * that only the plan's kernels write, they hold zero, and add nothing to a sum.
 */
import { collapse, mapKernel } from '../kernel/collapse.ts'
import { isConstant, zero } from '../kernel/indexing.ts'
import type { Buffer, Expr, Index, Kernel, Plan, Step, Store, Var } from '../kernel/kernel.ts'
import { expressions, loadsOf } from '../kernel/walk.ts'
import { touches } from '../memory.ts'
import { type Pack, aligned, bytesFor } from './slots.ts'

/** The fewest kernels that are worth slots of their own, which nothing else shares. */
const fewest = 3

/** A plan, and which of its buffers are made of others. */
export type Packed = { readonly plan: Plan; readonly packs: readonly Pack[] }

/** A kernel that goes once through some arrays from end to end, by one variable, and reads single elements of others. */
type Sweep = {
  readonly at: number
  readonly kernel: Kernel
  readonly along: Var
  /** The arrays, in the order in which it comes to them. */
  readonly arrays: readonly number[]
  /** Equal where two kernels do the same to their arrays. */
  readonly key: string
}

const elements = (buffer: Buffer): number => buffer.aval.shape.reduce((n, d) => n * d, 1)

/** Expressions as text, equal nodes once; null where it depends on its position other than by the elements that it loads. */
const template = (roots: readonly Expr[], load: (buffer: number, at: Index) => string | null): string | null => {
  const lines = new Map<Expr, number>()
  const texts = new Map<string, number>()
  const textOf = (e: Expr): string | null => {
    switch (e.kind) {
      case 'const':
        return `${e.dtype} ${Object.is(e.value, -0) ? '-0' : e.value}`
      case 'acc':
        return 'acc'
      case 'load':
        return load(e.buffer, e.at)
      case 'op': {
        const args = e.args.map(visit)
        return args.includes(-1) ? null : `${e.prim}.${e.dtype}${e.exponent === undefined ? '' : `^${e.exponent}`}(${args.join()})`
      }
      case 'index':
      case 'when':
      case 'random':
        return null
    }
  }
  const visit = (e: Expr): number => {
    const known = lines.get(e)
    if (known !== undefined) return known
    const text = textOf(e)
    const line = text === null ? -1 : (texts.get(text) ?? texts.size)
    if (text !== null) texts.set(text, line)
    lines.set(e, line)
    return line
  }
  const ends = roots.map(visit)
  return ends.includes(-1) ? null : `${[...texts.keys()].join('\n')}\n${ends.join()}`
}

/** The kernel as a sweep over whole arrays, of `along`'s values each. */
const sweep = (plan: Plan, at: number, kernel: Kernel, along: Var, roots: readonly Expr[], stores: readonly Store[]): Sweep | null => {
  const arrays: number[] = []
  const flat = (index: Index): boolean => {
    const [term, ...more] = index.terms
    return index.offset === 0 && more.length === 0 && term?.coef === 1 && term.atom.kind === 'var' && term.atom.id === along.id
  }
  const role = (buffer: number, index: Index): string | null => {
    const { aval, role } = plan.buffers[buffer]!
    if (isConstant(index)) return `#${buffer}[${index.offset}]`
    if (!flat(index) || elements(plan.buffers[buffer]!) !== along.size || role.kind === 'constant') return null
    const known = arrays.indexOf(buffer)
    return `${aval.dtype} $${known >= 0 ? known : arrays.push(buffer) - 1}`
  }
  const text = template(roots, role)
  const targets = stores.map(s => role(s.buffer, s.at))
  return text === null || targets.includes(null) ? null : { at, kernel, along, arrays, key: [text, ...targets].join('\n') }
}

/** An element-wise kernel as a sweep. */
const elementwise = (plan: Plan, at: number, step: Step): Sweep | null => {
  if (step.kind !== 'kernel' || step.reduction !== null) return null
  const kernel = collapse(step)
  const [along, ...more] = kernel.vars
  if (along === undefined || more.length > 0) return null
  const found = sweep(plan, at, kernel, along, kernel.stores.map(s => s.value), kernel.stores)
  // a single element that it stores is no array
  return found?.kernel.stores.every(s => found.arrays.includes(s.buffer)) === true ? found : null
}

/** Whether an expression is zero where all that it loads is. */
const vanishes = (e: Expr, arrays: readonly number[]): boolean => {
  switch (e.kind) {
    case 'load':
      return arrays.includes(e.buffer)
    case 'const':
      return e.value === 0
    case 'op':
      if (e.prim === 'mul') return e.args.some(a => vanishes(a, arrays))
      return ['add', 'sub', 'neg', 'abs', 'sqrt', 'maximum', 'minimum'].includes(e.prim) && e.args.every(a => vanishes(a, arrays))
    case 'acc':
    case 'index':
    case 'when':
    case 'random':
      return false
  }
}

const toNumbers = (plan: Plan, { vars, stores }: Kernel): boolean =>
  vars.length === 0 && stores.every(s => isConstant(s.at) && elements(plan.buffers[s.buffer]!) === 1)

/** A kernel that sums over whole arrays to one number. */
const total = (plan: Plan, at: number, step: Step): Sweep | null => {
  if (step.kind !== 'kernel' || step.reduction?.kind !== 'reduce' || step.reduction.op !== 'sum') return null
  const kernel = collapse(step)
  const { reduction } = kernel
  const [along, ...more] = reduction?.vars ?? []
  if (!toNumbers(plan, kernel) || along === undefined || more.length > 0) return null
  if (reduction?.kind !== 'reduce' || reduction.dtype !== 'f32') return null
  const found = sweep(plan, at, kernel, along, [reduction.value], [])
  return found !== null && vanishes(reduction.value, found.arrays) ? found : null
}

const grouped = <A>(items: readonly A[], key: (a: A) => string): readonly (readonly A[])[] => {
  const groups = new Map<string, A[]>()
  for (const item of items) {
    const group = groups.get(key(item))
    if (group === undefined) groups.set(key(item), [item])
    else group.push(item)
  }
  return [...groups.values()]
}

/** The largest. */
const most = <A>(groups: readonly (readonly A[])[]): readonly A[] | undefined => [...groups].sort((a, b) => b.length - a.length)[0]

type Touched = ReturnType<typeof touches>

/** Whether no array is part of a pack, and none is there twice. */
const unpacked = (arrays: readonly number[], packs: readonly Pack[]): boolean =>
  new Set(arrays).size === arrays.length && packs.every(p => p.members.every(m => !arrays.includes(m.buffer)))

/** Those of the sweeps whose arrays are part of no pack, nor of another sweep before them. */
const apart = (sweeps: readonly Sweep[], packs: readonly Pack[]): readonly Sweep[] =>
  sweeps.reduce<readonly Sweep[]>((taken, s) => (unpacked([...taken.flatMap(t => t.arrays), ...s.arrays], packs) ? [...taken, s] : taken), [])

/** Those of the sweeps that may wait for the last: nothing in between touches what they write, or writes what they read. */
const waiting = (sweeps: readonly Sweep[], touched: readonly Touched[]): readonly Sweep[] => {
  const last = sweeps[sweeps.length - 1]?.at ?? 0
  return sweeps.filter(({ at }) => {
    const own = touched[at]!
    return touched.slice(at + 1, last + 1).every(({ reads, writes }) =>
      ![...own.writes].some(b => reads.has(b) || writes.has(b)) && ![...own.reads].some(b => writes.has(b)))
  })
}

/** The words with which all of these begin: `state.params`; or else the name of the kernel that they meet in. */
const nameOf = (names: readonly string[], kernel: string): string => {
  const words = names.map(name => name.split('.'))
  const [first = []] = words
  const differs = first.findIndex((word, i) => words.some(w => i >= w.length - 1 || w[i] !== word))
  return differs > 0 ? first.slice(0, differs).join('.') : `all ${kernel}`
}

/** Lays out the arrays of one role of some sweeps side by side; `id` is what the whole is known as. */
const laidOut = (plan: Plan, id: number, arrays: readonly number[], kernel: string): { readonly buffer: Buffer; readonly pack: Pack } => {
  const sizes = arrays.map(a => aligned(bytesFor(plan.buffers[a]!)))
  const members = arrays.map((buffer, i) => ({ buffer, offset: sizes.slice(0, i).reduce((n, s) => n + s, 0) }))
  const shape = [sizes.reduce((n, s) => n + s, 0) / 4]
  const name = nameOf(arrays.map(a => plan.buffers[a]!.name), kernel)
  return { buffer: { id, aval: { shape, dtype: plan.buffers[arrays[0]!]!.aval.dtype }, name, role: { kind: 'scratch' } }, pack: { buffer: id, members } }
}

/** The kernel of a sweep over other arrays, `size` elements long. */
const over = ({ kernel, along, arrays }: Sweep, others: readonly number[], size: number): Kernel => {
  const name = (buffer: number): number => others[arrays.indexOf(buffer)] ?? buffer
  const longer = (vars: readonly Var[]): readonly Var[] => vars.map(v => (v === along ? { ...v, size } : v))
  const made = mapKernel(kernel, i => i, g => g, l => ({ ...l, buffer: name(l.buffer) }))
  const { reduction } = made
  return {
    ...made, vars: longer(made.vars), reduction: reduction === null ? null : { ...reduction, vars: longer(reduction.vars) },
    stores: made.stores.map(s => ({ ...s, buffer: name(s.buffer) })),
  }
}

const plainName = (name: string): string => name.replace(/_\d+$/, '')
const originsOf = (sweeps: readonly Sweep[]): Kernel['origins'] => {
  const all = new Map(sweeps.flatMap(s => s.kernel.origins).map(o => [`${o.file}:${o.line}:${o.column}`, o]))
  return [...all.values()]
}

/** Puts kernels where the last of some sweeps was, and takes all of those away; `others` stand in the place of some steps. */
const replaced = (
  steps: readonly Step[], sweeps: readonly Sweep[], kernels: readonly Kernel[], others: ReadonlyMap<number, readonly Kernel[]> = new Map(),
): readonly Step[] => {
  const [gone, last] = [new Set(sweeps.map(s => s.at)), sweeps[sweeps.length - 1]!.at]
  return steps.flatMap((step, at): readonly Step[] => (at === last ? kernels : gone.has(at) ? [] : (others.get(at) ?? [step])))
}

/** Buffers of which a kernel reads single elements. */
const singles = ({ kernel }: Sweep): readonly number[] => loadsOf(expressions(kernel)).filter(l => isConstant(l.at)).map(l => l.buffer)

/** Makes one kernel of element-wise kernels that do the same, if that can be. */
const merged = ({ plan, packs }: Packed, group: readonly Sweep[]): Packed | null => {
  const common = new Set(group.flatMap(singles))
  if (group.length < fewest || group.some(s => s.arrays.some(a => common.has(a)))) return null
  const first = group[0]!
  const sides = first.arrays.map((_, role) => laidOut(plan, plan.buffers.length + role, group.map(s => s.arrays[role]!), plainName(first.kernel.name)))
  const kernel = over(first, sides.map(s => s.buffer.id), sides[0]!.buffer.aval.shape[0]!)
  const steps = replaced(plan.steps, group, [{ ...kernel, name: plainName(first.kernel.name), origins: originsOf(group) }])
  return { plan: { buffers: [...plan.buffers, ...sides.map(s => s.buffer)], steps }, packs: [...packs, ...sides.map(s => s.pack)] }
}

/** Every sum of a group as a load of a buffer that is not there: -1, -2, ... */
const marker = (i: number): Expr => ({ kind: 'load', buffer: -1 - i, at: zero, dtype: 'f32' })

/** Rewrites an expression from its leaves up, every node once. */
const rewritten = (root: Expr, leaf: (e: Expr) => Expr): Expr => {
  const done = new Map<Expr, Expr>()
  const visit = (e: Expr): Expr => {
    const known = done.get(e)
    if (known !== undefined) return known
    const made: Expr = e.kind === 'op' ? { ...e, args: e.args.map(visit) } : leaf(e)
    done.set(e, made)
    return made
  }
  return visit(root)
}

/** The terms of a sum: those of the sums that it adds. */
const terms = (e: Expr): readonly Expr[] => (e.kind === 'op' && e.prim === 'add' && e.dtype === 'f32' ? e.args.flatMap(terms) : [e])
const plus = (a: Expr, b: Expr): Expr => ({ kind: 'op', prim: 'add', args: [a, b], dtype: 'f32' })

const markersOf = (e: Expr): ReadonlySet<number> => new Set(terms(e).flatMap(t => (t.kind === 'load' && t.buffer < 0 ? [t.buffer] : [])))

/** The markers of the longest sum below an expression. */
const longest = (root: Expr): ReadonlySet<number> => {
  const below = root.kind === 'op' ? root.args.map(longest) : []
  return [markersOf(root), ...below].reduce((a, b) => (b.size > a.size ? b : a))
}

/** With the total of some markers in the place of each of them wherever all are added up; what is added oftener stays, too. */
const withTotal = (root: Expr, marked: ReadonlySet<number>, total: Expr): Expr => {
  const own = markersOf(root)
  if ([...marked].every(m => own.has(m))) {
    const left = new Set(marked)
    return terms(root).filter(t => !(t.kind === 'load' && left.delete(t.buffer))).reduce(plus, total)
  }
  return root.kind === 'op' ? { ...root, args: root.args.map(a => withTotal(a, marked, total)) } : root
}

/** Whether someone may read what a buffer holds after step `at`: another step, or the caller. */
const liveAfter = (plan: Plan, touched: readonly Touched[], at: number, buffer: number): boolean => {
  const outside = plan.buffers.some(({ id, role }) => (id === buffer && role.kind !== 'scratch') || (role.kind === 'output' && role.over === buffer))
  const next = touched.slice(at + 1).find(({ reads, writes }) => reads.has(buffer) || writes.has(buffer))
  return outside || next?.reads.has(buffer) === true
}

/** What the last of some sums stores, in terms of markers; `links` are reductions of other shapes among them, with markers after those of the sums. */
type Summary = { readonly stores: readonly Store[]; readonly links: readonly { readonly at: number; readonly kernel: Kernel }[] }

/** A summary of some sums over single arrays, if nothing else sees what they store; null otherwise. */
const summary = (plan: Plan, group: readonly Sweep[], touched: readonly Touched[]): Summary | null => {
  const at = new Map(group.map((s, i) => [s.at, i]))
  const [first, last] = [group[0]!.at, group[group.length - 1]!.at]
  const values = new Map<number, Expr>()
  const needed = new Set<number>()
  const links: { readonly at: number; readonly kernel: Kernel }[] = []
  let stores: readonly Store[] = []
  for (let step = first; step <= last; step += 1) {
    const { reads, writes } = touched[step]!
    const [i, other] = [at.get(step), plan.steps[step]!]
    const meets = [...reads, ...writes].some(b => values.has(b)) || [...writes].some(b => needed.has(b))
    if (i === undefined && !meets) continue
    const kernel = i === undefined ? other : group[i]!.kernel
    if (kernel.kind !== 'kernel' || kernel.reduction === null || !toNumbers(plan, kernel)) return null
    if (loadsOf(expressions({ ...kernel, stores: [] })).some(l => values.has(l.buffer))) return null
    const own = marker(i ?? group.length + links.push({ at: step, kernel }) - 1)
    reads.forEach(b => needed.add(b))
    stores = kernel.stores.map(s => {
      const value = rewritten(s.value, e => (e.kind === 'acc' ? own : e.kind === 'load' ? (values.get(e.buffer) ?? e) : e))
      values.set(s.buffer, value)
      return { ...s, value }
    })
  }
  const results = stores.map(s => s.buffer)
  // what one store has written, the next would read
  const clobbered = stores.some(({ value }, i) => loadsOf([value]).some(l => results.slice(0, i).includes(l.buffer)))
  return clobbered || [...values.keys()].some(b => !results.includes(b) && liveAfter(plan, touched, last, b)) ? null : { stores, links }
}

/**
 * Makes few sums of sums over arrays of one role that are added up, if that can be: one over every pack that lies among the arrays, one over
 * all that are in no pack, which become one; others stay what they are, as do reductions of other shapes that are added, too.
 */
const summed = ({ plan, packs }: Packed, given: readonly Sweep[], touched: readonly Touched[]): Packed | null => {
  const found = given.length < fewest || given[0]!.arrays.length !== 1 ? null : summary(plan, given, touched)
  if (found === null) return null
  const all = found.stores.map(s => longest(s.value)).reduce((a, b) => (b.size > a.size ? b : a))
  const marked = new Set([...all].filter(m => m >= -given.length))
  const group = given.filter((_, i) => marked.has(-1 - i))
  const arrays = group.flatMap(s => s.arrays)
  if (group.length < fewest || new Set(arrays).size !== arrays.length) return null
  // what a kernel over a whole range has written into its gaps is not zero
  const clean = (p: Pack): boolean => touched.every(({ writes }) => !writes.has(p.buffer))
  const whole = packs.filter(p => p.members.every(m => arrays.includes(m.buffer)) && clean(p))
  const left = arrays.filter(a => whole.every(p => p.members.every(m => m.buffer !== a)))
  const free = left.filter(a => unpacked([a], packs))
  const last = given[given.length - 1]!
  const name = plainName(last.kernel.name)
  const made = free.length < fewest ? null : laidOut(plan, plan.buffers.length, free, name)
  const packed = [...plan.buffers, ...(made === null ? [] : [made.buffer])]
  const ranges = [...whole.map(p => p.buffer), ...(made === null ? [] : [made.buffer.id]), ...left.filter(a => made === null || !free.includes(a))]
  const acc: Expr = { kind: 'acc', dtype: 'f32' }
  // every sum but that of the last kernel is kept until that has its own: those over ranges, and those that markers are left of
  const sums = packed.length
  const keptAt = (i: number): Index => ({ offset: i, terms: [] })
  const kept = (i: number): Expr => ({ kind: 'load', buffer: sums, at: keptAt(i), dtype: 'f32' })
  const totals = ranges.slice(1).map((_, i) => kept(i)).reduce(plus, acc)
  const stores = found.stores.map(s => ({ ...s, value: withTotal(s.value, marked, totals) }))
  const still = [...new Set(loadsOf(stores.map(s => s.value)).flatMap(l => (l.buffer < 0 ? [-1 - l.buffer] : [])))]
  const apart = still.filter(i => i < given.length)
  if (ranges.length + apart.length >= given.length) return null
  const placeOf = new Map(still.map((m, i) => [m, ranges.length - 1 + i]))
  const value = (e: Expr): Expr => rewritten(e, l => (l.kind === 'load' && l.buffer < 0 ? kept(placeOf.get(-1 - l.buffer)!) : l))
  const keep = (kernel: Kernel, i: number): Kernel => ({ ...kernel, stores: [{ buffer: sums, at: keptAt(i), value: acc }] })
  const kernels = [
    ...apart.map(i => keep(given[i]!.kernel, placeOf.get(i)!)),
    ...ranges.map((range, i): Kernel => {
      const one = { ...over(last, [range], elements(packed[range]!)), name: `${name}_${i + 1}`, origins: originsOf(group) }
      return i === 0 ? one : keep(one, i - 1)
    }).reverse(),
  ]
  const final: Kernel = { ...kernels[kernels.length - 1]!, name, stores: stores.map(s => ({ ...s, value: value(s.value) })) }
  const links = new Map(found.links.map(({ at, kernel }, i) => {
    const place = placeOf.get(given.length + i)
    return [at, place === undefined ? [] : [keep(kernel, place)]] as const
  }))
  const steps = replaced(plan.steps, given, [...kernels.slice(0, -1), final], links)
  const length = ranges.length - 1 + still.length
  const buffer: Buffer = { id: sums, aval: { shape: [length], dtype: 'f32' }, name: 'sums', role: { kind: 'scratch' } }
  const buffers = length === 0 ? packed : [...packed, buffer]
  return { plan: { buffers, steps }, packs: made === null ? packs : [...packs, made.pack] }
}

type Find = (plan: Plan, at: number, step: Step) => Sweep | null

/** The same, but a step is looked at once only. */
const remembering = (find: Find): Find => {
  const known = new Map<Step, Sweep | null>()
  return (plan, at, step) => {
    const found = known.get(step) ?? (known.has(step) ? null : find(plan, at, step))
    known.set(step, found)
    return found === null ? null : { ...found, at }
  }
}

/** Packs what can be packed. The buffers of the plan keep their ids; those that packs are known as come after them. */
export const pack = (given: Plan): Packed => {
  const round = (packed: Packed, every: Find, make: (packed: Packed, group: readonly Sweep[], touched: readonly Touched[]) => Packed | null): Packed => {
    const keys = new Set<string>()
    const find = remembering(every)
    for (let now = packed; ;) {
      const { plan } = now
      const touched = plan.steps.map(touches)
      const sweeps = plan.steps.flatMap((step, at) => find(plan, at, step) ?? [])
      const group = most(grouped(sweeps, s => s.key).filter(g => g.length >= fewest && !keys.has(g[0]!.key)))
      if (group === undefined) return now
      keys.add(group[0]!.key)
      now = make(now, group, touched) ?? now
    }
  }
  const swept = round({ plan: given, packs: [] }, elementwise, (packed, group, touched) => merged(packed, waiting(apart(group, packed.packs), touched)))
  return round(swept, total, summed)
}
