/** The shape rule of `contract`: every label has one size, and labels and windows fit the operands. */
import type { Aval, Contraction, Dimension } from './prim.ts'
import { showShape } from './dense.ts'
import { list, no } from './infer-check.ts'

/** The labels that a list of dimensions mentions, in order; a window mentions two. */
export const labelsOf = (dims: readonly Dimension[]): readonly string[] => dims.flatMap(dim => (typeof dim === 'string' ? [dim] : [dim.p, dim.k]))

/** `bi(2p+k-1)o`, as messages show an operand's dimensions: labels, and windows as their index formula. */
const showDimensions = (dims: readonly Dimension[]): string =>
  dims
    .map(dim => {
      if (typeof dim === 'string') return dim.length === 1 ? dim : `<${dim}>`
      const sum = `${dim.stride}${dim.p}+${dim.dilation}${dim.k}-${dim.pad}`.replaceAll('+-', '-').replaceAll('--', '+')
      return dim.base === 1 ? `(${sum})` : `(${sum})/${dim.base}`
    })
    .join('')

const operand = (name: string, x: Aval, dims: readonly Dimension[], sizes: Contraction['sizes']): void => {
  const shown = `${name} ${showShape(x.shape)} as ${showDimensions(dims)}`
  if (dims.length !== x.shape.length) no('contract', `${shown}: ${dims.length} dimensions named, the tensor has ${x.shape.length}`)
  const labels = labelsOf(dims)
  const twice = labels.find((label, i) => labels.indexOf(label) !== i)
  if (twice !== undefined) no('contract', `${shown}: label ${twice} occurs twice in one operand`)
  const unknown = labels.find(label => !Object.hasOwn(sizes, label))
  if (unknown !== undefined) no('contract', `${shown}: label ${unknown} has no size`)
  dims.forEach((dim, axis) => {
    if (typeof dim === 'string') {
      if (sizes[dim] !== x.shape[axis])
        no('contract', `${shown}: axis ${axis} has size ${x.shape[axis]}, label ${dim} has ${sizes[dim]} [${x.shape[axis]} != ${sizes[dim]}]`)
      return
    }
    list('contract', `window of ${shown}`, [dim.stride, dim.dilation, dim.pad, dim.base], { shape: [0, 0, 0, 0], dtype: 'f32' })
    if (dim.stride === 0 || dim.dilation === 0 || dim.base < 1) {
      no('contract', `${shown}: a window's stride ${dim.stride} and dilation ${dim.dilation} must not be 0, its base ${dim.base} must be 1 or more`)
    }
  })
}

/** The result of contracting `a` with `b`; refuses what the description of `Contraction` does not allow. */
export const contraction = (a: Aval, b: Aval, spec: Contraction): Aval => {
  for (const [label, size] of Object.entries(spec.sizes)) {
    if (!Number.isInteger(size) || size < 0) no('contract', `label ${label} has size ${size}: sizes are whole numbers, 0 or more`)
  }
  operand('a', a, spec.a, spec.sizes)
  operand('b', b, spec.b, spec.sizes)
  const present = [...labelsOf(spec.a), ...labelsOf(spec.b)]
  const stray = Object.keys(spec.sizes).find(label => !present.includes(label))
  if (stray !== undefined) no('contract', `label ${stray} has a size but occurs in neither operand`)
  const repeated = spec.out.find((label, i) => spec.out.indexOf(label) !== i)
  if (repeated !== undefined) no('contract', `label ${repeated} occurs twice in the result ${showDimensions(spec.out)}`)
  const lost = spec.out.find(label => !present.includes(label))
  if (lost !== undefined) no('contract', `label ${lost} of the result ${showDimensions(spec.out)} occurs in neither operand`)
  return { shape: spec.out.map(label => spec.sizes[label]!), dtype: 'f32' }
}
