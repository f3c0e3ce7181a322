/** The verifier names the pass and says what is broken, for every kind of broken function. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { builder } from '../../../compiler/ir/build.ts'
import type { Func, Inst, Op, Scan } from '../../../compiler/ir/ir.ts'
import { verify } from '../../../compiler/ir/verify.ts'
import { at, nowhere } from '../../../compiler/ir/view.ts'
import type { Aval } from '../../../dsl/core/prim.ts'
import { Refusal } from '../../../dsl/errors.ts'
import { recurrentLoss } from '../transform/recurrent.ts'

const vector: Aval = { shape: [3], dtype: 'f32' }

const base = (): Func => {
  const b = builder()
  const x = b.param(vector, 'x')
  const y = b.op('exp', [x], {})
  return b.finish([b.op('sum', [b.op('mul', [y, x], {})], { axes: [0] })])
}

const broken = (func: Func, message: RegExp): void => {
  try {
    verify(func, 'after test')
  } catch (error) {
    assert.instance(error, Refusal)
    if (!(error instanceof Refusal)) return
    assert.is(error.failure.kind, 'bug')
    assert.match(error.message, 'internal error in after test')
    assert.match(error.message, message)
    return
  }
  assert.unreachable(`accepted, expected ${message}`)
}

const withInst = (func: Func, i: number, change: (inst: Inst) => Inst): Func => ({ ...func, insts: func.insts.with(i, change(at(func.insts, i))) })
const change = (func: Func, i: number, fields: Partial<Op>): Func => withInst(func, i, inst => ({ ...inst, ...fields }) as Inst) // ill-formed on purpose

test('accepts what is well-formed', () => {
  verify(base(), 'test')
  verify(recurrentLoss(3, 2, 2), 'test')
})

test('uses before definitions', () => broken({ ...base(), insts: base().insts.toReversed() }, /value %2 is used before it is defined/))
test('undefined operands', () => broken(change(base(), 0, { inputs: [77] }), /value %77 is used before it is defined/))
test('double definitions', () => broken(change(base(), 1, { id: 1 }), /value %1 is defined twice/))
test('missing results', () => broken({ ...base(), results: [42] }, /result 0, %42, is not defined/))
test('wrong types', () => broken(change(base(), 0, { aval: { shape: [4], dtype: 'f32' } }), /value %1 of exp is marked f32\[4\], and is f32\[3\]/))
test('wrong element types', () => broken(change(base(), 0, { aval: { shape: [3], dtype: 'i32' } }), /is marked i32\[3\], and is f32\[3\]/))
test('wrong number of operands', () => broken(change(base(), 0, { inputs: [0, 0] }), /%1: exp/))
test('wrong attributes', () => broken(change(base(), 2, { attrs: { axes: [5] } } as Partial<Op>), /%3: sum/)) // ill-formed on purpose
test('impossible parameters', () => broken({ ...base(), params: [{ id: 0, aval: { shape: [-1], dtype: 'f32' }, path: '' }] }, /impossible type f32\[-1\]/))

const scanned = recurrentLoss(3, 2, 2)
const where = scanned.insts.findIndex(inst => inst.kind === 'scan')
const changeScan = (fields: (scan: Scan) => Partial<Scan>): Func => withInst(scanned, where, inst => (inst.kind === 'scan' ? { ...inst, ...fields(inst) } : inst))

test('scan: bodies that are not closed', () =>
  broken(
    changeScan(scan => ({ body: { ...scan.body, insts: [...scan.body.insts, { kind: 'op', prim: 'neg', attrs: {}, inputs: [99], id: 98, aval: vector, origin: nowhere }] } })),
    /in the body of a scan: value %99 is used before it is defined/,
  ))
test('scan: too few inputs', () => broken(changeScan(scan => ({ xs: scan.xs.slice(1) })), /takes 6 parameters, the scan gives 5/))
test('scan: too few results', () => broken(changeScan(scan => ({ body: { ...scan.body, results: [] } })), /returns 0 values, there are 1 carries/))
test('scan: results without ids', () => broken(changeScan(scan => ({ ids: scan.ids.slice(1) })), /has 1 results and 2 types, of 2/))
test('scan: sequences of another length', () => broken(changeScan(() => ({ length: 4 })), /sequence 0 is f32\[3, 2\], the scan takes 4 steps/))
test('scan: carries that change their type', () =>
  broken(changeScan(scan => ({ body: { ...scan.body, results: scan.body.results.toReversed() } })), /carry 0 enters a step as f32\[2\] and leaves it as f32\[\]/))
test('scan: a constant of another type', () => broken(changeScan(scan => ({ consts: scan.consts.with(0, at(scan.consts, 2)) })), /constant 0 is f32\[2\], the body takes f32\[2, 2\]/))
test('scan: types that do not follow', () => broken(changeScan(scan => ({ avals: scan.avals.toReversed() })), /of scan is marked f32\[3\], and is f32\[2\]/))

test.run()
