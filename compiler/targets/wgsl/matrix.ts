/**
 * Statements on matrices that subgroups hold, as WGSL with Chromium's experimental subgroup matrices. Arrays that matrices lie in have single
 * numbers as elements: in which units a stride along an array of vectors counts is something that drivers do not agree upon.
 */
import type { Matrix, MatrixStep } from '../../schedule/nest/nest.ts'

/** What a module with matrices needs, in the order of its head. */
export const matrixExtensions = ['f16', 'subgroups', 'chromium_experimental_subgroup_matrix'] as const

const typeOf = ({ role }: Matrix): string => `subgroup_matrix_${role}<${role === 'result' ? 'f32' : 'f16'}, 16, 16>`

/** How parts of a step read: a matrix by its name, the position of a load or store, a space by the name of its array. */
export type Words = {
  readonly name: (matrix: Matrix) => string
  readonly position: (step: Extract<MatrixStep, { op: 'load' | 'store' }>) => string
  readonly memory: (space: number) => string
}

/** The line of a step. */
export const matrixLine = (step: MatrixStep, { name, position, memory }: Words): string => {
  const own = name(step.matrix)
  switch (step.op) {
    case 'zero':
      return `var ${own} = ${typeOf(step.matrix)}();`
    case 'multiply':
      return `${own} = subgroupMatrixMultiplyAccumulate(${name(step.left)}, ${name(step.right)}, ${own});`
    case 'load':
    case 'store': {
      const order = step.matrix.role === 'left' ? 'col_major' : 'row_major'
      const at = `&${memory(step.space)}, ${position(step)}`
      return step.op === 'store' ? `subgroupMatrixStore<${order}>(${at}, ${own}, ${step.stride});`
        : `let ${own} = subgroupMatrixLoad<${typeOf(step.matrix)}, ${order}>(${at}, ${step.stride});`
    }
  }
}
