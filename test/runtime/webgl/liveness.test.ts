/** When arrays of a program are let go, and the memory that follows from it. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { footprint, planOf, staying, type Planned } from '../../../runtime/device/webgl/liveness.ts'
import { byHand, chain, exchange, type HandStep } from './support/hand.ts'

/** Kernel numbers and what is let go after each step, as `0 -x`. */
const outline = (names: readonly string[], steps: readonly Planned[]): readonly string[] => steps.flatMap((step): readonly string[] => {
  const drops = [...step.drop].sort().map(array => `-${names[array] ?? '?'}`)
  switch (step.kind) {
    case 'kernel': return [[step.runs.map(({ kernel }) => kernel).join('+'), ...drops].join(' ')]
    case 'copy': return [['copy', ...drops].join(' ')]
    case 'loop': return [`${step.size} times`, ...outline(names, step.steps).map(line => `  ${line}`), ['end', ...drops].join(' ')]
  }
})

const made = (steps: readonly HandStep[]) => byHand({
  id: 'hand/live', arrays: { x: ['f32', 4], p: ['f32', 4], q: ['f32', 4], y: ['f32', 4] }, inputs: ['x'], outputs: ['y=y'],
  kernels: [
    { code: '', reads: ['x'], makes: 'p' }, // 0
    { code: '', reads: ['p'], makes: 'q' }, // 1
    { code: '', reads: ['q'], makes: 'y' }, // 2
    { code: '', reads: ['p', 'q'], makes: 'q' }, // 3: some of q
    { code: '', reads: ['q', 'y'], makes: 'y' }, // 4: some of y
  ],
  steps,
}).file
const lines = (steps: readonly HandStep[]): readonly string[] => {
  const file = made(steps)
  return outline(file.arrays.map(({ name }) => name), planOf(file))
}

test('an array is let go after the last step that needs it', () => {
  assert.equal(lines([0, 1, 2]), ['0', '1 -p', '2 -q'])
  assert.equal(lines([0, 1, 2, 0, 1, 2]), ['0', '1 -p', '2 -q -y', '0', '1 -p', '2 -q'], 'and at once where it is made anew before anybody needs it')
  assert.equal(lines([0, { copy: ['p', 'q'] }, 2]), ['0', 'copy -p', '2 -q'])
  assert.equal(lines([0, 1]), ['0', '1 -p -q'], 'what nobody needs goes at once')
  assert.equal([...staying(made([0]))].sort(), [0, 3])
})

test('in loops, what a turn makes and uses goes within the turn; what it finds stays to the end', () => {
  assert.equal(lines([{ times: 3, steps: [0, 1, 4] }]), ['3 times', '  0', '  1 -p', '  4 -q', 'end'])
  assert.equal(lines([0, { times: 3, steps: [1, 4] }]), ['0', '3 times', '  1', '  4 -q', 'end -p'])
  assert.equal(lines([0, { times: 3, steps: [3, 4] }]), ['0', '3 times', '  3', '  4', 'end -p -q'], 'a partial store finds what the last turn made')
  assert.equal(lines([0, { times: 2, steps: [{ times: 3, steps: [3] }, 2] }, 2]), ['0', '2 times', '  3 times', '    3', '  end', '  2 -y', 'end -p', '2 -q'])
  assert.equal(lines([0, { times: 0, steps: [1] }, 1, 2]), ['0', '0 times', 'end', '1 -p', '2 -q'])
})

test('memory is what is held at once, and what a step makes before the old goes', () => {
  const bytes = (steps: readonly HandStep[]): number => {
    const file = made(steps)
    return footprint(file, planOf(file), texels => 4 * texels) / 16
  }
  assert.is(bytes([0, 1, 2]), 4, 'x, y, and of p, q and the new y two at once')
  assert.is(bytes([0, 1, { copy: ['q', 'y'] }]), 4, 'a copy takes nothing')
  assert.is(bytes([{ times: 1000, steps: [0, 1, 4] }]), 4)
  assert.is(footprint(exchange.file, planOf(exchange.file), texels => 4 * texels), 64)
  // x, y, twice and its next, sum and its next; what is between is of the size of x.
  assert.is(footprint(chain.file, planOf(chain.file), texels => 4 * texels), 4 * (7 + 1 + 3 * 7 + 2 * 3))
})

test.run()
