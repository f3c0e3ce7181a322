/** The index algebra against plain integer arithmetic, for every value of the variables. */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { add, constant, equal, indexKey, indexing, linear, scale, shift, substitute, variable } from '../../../../compiler/schedule/kernel/indexing.ts'
import type { Index } from '../../../../compiler/schedule/kernel/kernel.ts'

const at = (index: Index, values: readonly number[]): number =>
  index.terms.reduce((sum, { coef, atom }) => {
    const value = atom.kind === 'var' ? values[atom.id]! : atom.kind === 'div' ? Math.floor(at(atom.of, values) / atom.by) : atom.kind === 'mod' ? at(atom.of, values) % atom.by : NaN
    return sum + coef * value
  }, index.offset)

const counting = (sizes: readonly number[], check: (values: readonly number[]) => void): void => {
  const total = sizes.reduce((a, b) => a * b, 1)
  for (let i = 0; i < total; i++) {
    let rest = i
    check([...sizes].reverse().map(n => { const v = rest % n; rest = Math.floor(rest / n); return v }).reverse())
  }
}
const of = (sizes: readonly number[]) => ({ algebra: indexing(id => sizes[id]!), vars: sizes.map((size, id) => variable({ id, size, name: `v${id}` })) })

test('a tensor reshaped and reshaped back is read at its own index', () => {
  const factor = fc.integer({ min: 1, max: 5 })
  fc.assert(fc.property(fc.array(factor, { minLength: 1, maxLength: 4 }), fc.array(fc.nat(3), { maxLength: 3 }), (shape, cuts) => {
    const total = shape.reduce((a, b) => a * b, 1)
    const { algebra, vars } = of(shape)
    // Another factorisation of the same count: merge some neighbours, then read the flat index through it.
    const merged = shape.reduce<number[]>((s, n, i) => (cuts.includes(i) && s.length > 0 ? [...s.slice(0, -1), s[s.length - 1]! * n] : [...s, n]), [])
    const flat = linear(vars, shape)
    const through = algebra.split(flat, merged)
    const back = linear(through, merged)
    assert.ok(equal(back, flat), `${indexKey(back)} is ${indexKey(flat)} over ${shape} as ${merged}`)
    assert.is(total, merged.reduce((a, b) => a * b, 1))
  }))
})

test('quotients and remainders agree with arithmetic whatever is simplified', () => {
  const size = fc.integer({ min: 1, max: 6 })
  const term = fc.tuple(fc.nat(12), fc.nat(2))
  const operation = fc.tuple(fc.constantFrom('div', 'mod', 'add', 'scale'), fc.integer({ min: 1, max: 12 }), fc.nat(12), fc.nat(2))
  fc.assert(fc.property(fc.tuple(size, size, size), fc.array(term, { maxLength: 3 }), fc.nat(20), fc.array(operation, { maxLength: 5 }), (sizes, terms, offset, operations) => {
    const { algebra, vars } = of(sizes)
    const start = terms.reduce((sum, [coef, v]) => add(sum, scale(vars[v]!, coef)), constant(offset))
    const index = operations.reduce((i, [name, by, more, v]) =>
      name === 'div' ? algebra.div(i, by) : name === 'mod' ? algebra.mod(i, by) : name === 'scale' ? scale(i, (by % 4) + 1) : add(i, scale(vars[v]!, more)), start)
    counting(sizes, values => {
      const first = terms.reduce((sum, [coef, v]) => sum + coef * (sizes[v] === 1 ? 0 : values[v]!), offset)
      const expected = operations.reduce((x, [name, by, more, v]) =>
        name === 'div' ? Math.floor(x / by) : name === 'mod' ? x % by : name === 'scale' ? x * ((by % 4) + 1) : x + more * (sizes[v] === 1 ? 0 : values[v]!), first)
      assert.is(at(index, values), expected)
      const { min, max } = algebra.range(index)
      assert.ok(min <= expected && expected <= max)
    })
  }), { numRuns: 300 })
})

test('splitting into any shape names the position of every axis', () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }), fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }), (from, to) => {
    const { algebra, vars } = of(from)
    const total = from.reduce((a, b) => a * b, 1)
    const last = Math.ceil(total / to.reduce((a, b) => a * b, 1))
    const shape = [last, ...to]
    const flat = linear(vars, from)
    const split = algebra.split(flat, shape)
    counting(from, values => {
      const position = at(flat, values)
      let rest = position
      const expected = [...shape].reverse().map(n => { const v = rest % n; rest = Math.floor(rest / n); return v }).reverse()
      assert.equal(split.map(i => at(i, values)), expected)
    })
  }))
})

test('the textbook cases cancel', () => {
  const { algebra, vars } = of([4, 6, 8])
  const [a, b, c] = vars as [Index, Index, Index]
  const flat = linear([a, b, c], [4, 6, 8])
  assert.equal(algebra.split(flat, [24, 8]).map(indexKey), ['6*v0+1*v1+0', '1*v2+0'])
  assert.equal(algebra.split(flat, [4, 48]).map(indexKey), ['1*v0+0', '8*v1+1*v2+0'])
  assert.is(indexKey(algebra.div(shift(scale(a, 6), 5), 6)), '1*v0+0')
  assert.is(indexKey(substitute(algebra, algebra.div(flat, 48), id => (id === 0 ? constant(3) : undefined))), '+3')
})

test.run()
