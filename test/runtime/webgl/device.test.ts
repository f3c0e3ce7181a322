/** The device webgl by gpu.js's mode cpu, on programs written by hand: what calls, sharing and feeding do to arrays; what is refused. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeHost } from '../../../runtime/device/node.ts'
import { checkProgram } from './support/calls.ts'

const host = nodeHost('.')

test('calls, loops, partial stores, words, exchange, sharing and feeding', () => checkProgram(host, { interpreted: true }))

test.run()
