/** What every form of the device webgl has to do with the programs written by hand; in Node and in pages alike, so without uvu. */
import * as E from 'fp-ts/lib/Either.js'
import { Refusal, type Failure } from '../../../../dsl/errors.ts'
import { openBuild, type LoadOptions } from '../../../../runtime/build.ts'
import type { Host } from '../../../../runtime/device/host.ts'
import type { AnyArray, Executable } from '../../../../runtime/executor.ts'
import { all, filesOf, hostOf, type Made } from './hand.ts'

/** What a task gives; throws a `Refusal` where it gives none. */
export const orThrow = async <A>(task: () => Promise<E.Either<Failure, A>>): Promise<A> => {
  const result = await task()
  if (E.isLeft(result)) throw new Refusal(result.left)
  return result.right
}

const equal = (what: string, found: AnyArray | undefined, wanted: readonly number[]): void => {
  const same = found !== undefined && found.length === wanted.length && wanted.every((x, i) => Object.is(found[i], x))
  if (!same) throw new Error(`${what}: expected ${wanted.join(', ')}, found ${found?.join(', ') ?? 'nothing'}`)
}

export const loader = async (
  host: Host, options: Omit<LoadOptions, 'device'>, programs: readonly Made[] = all,
): Promise<(id: string) => Promise<Executable>> => {
  const build = await orThrow(openBuild(hostOf(host, filesOf(programs))))
  return id => orThrow(build.loadOn(id, { ...options, device: 'webgl' }))
}

export const checkProgram = async (host: Host, options: Omit<LoadOptions, 'device'>): Promise<void> => {
  const load = await loader(host, options)
  const chain = await load('hand/chain')
  chain.set('x', [1, 2, 3, 4, 5, 6, 7])
  chain.set('y', [0.5])
  for (let i = 0; i < 2; i++) {
    chain.run()
    const [twice, sum] = await chain.read(['twice', 'sum'])
    equal('2 x + y', twice, [2.5, 4.5, 6.5, 8.5, 10.5, 12.5, 14.5])
    equal('sums of turns', sum, [28, 56, 84])
  }
  const exchange = await load('hand/exchange')
  exchange.set('a', [1, 2, 3, 4])
  exchange.run()
  const read = exchange.read(['a', 'b', 'kept'])
  exchange.run() // what is read is as it was
  const [a, b, kept] = await read
  equal('a', a, [1, 1, 1, 1])
  equal('b', b, [11, 12, 13, 14])
  equal('kept', kept, [1, 2, 3, 4])
  const [again] = await exchange.read(['a'])
  equal('a after two steps', again, [12, 13, 14, 15])

  const reader = await load('hand/reader')
  reader.fill('q', view => view.fill(0.25))
  if (!reader.share(exchange, [['b', 'p']])) throw new Error('it does not share')
  reader.run()
  equal('shared', (await reader.read(['out']))[0], [1100.25, 1100.25, 1100.25, 1100.25])
  exchange.run()
  reader.run()
  equal('shared, later', (await reader.read(['out']))[0], [2200.25, 2300.25, 2400.25, 2500.25])
  exchange.feed('kept', 'a')
  equal('fed', (await exchange.read(['a'], 'inputs'))[0], [12, 13, 14, 15])
  exchange.dispose()
  reader.run()
  equal('shared with one that is gone', (await reader.read(['out']))[0], [2200.25, 2300.25, 2400.25, 2500.25])

  const words = await load('hand/words')
  const u = [0, 1, 4294967295, 123456789, 3000000000]
  const i = [-1, 2147483647, -2147483648, 7, -1000000007]
  words.setAll({ u, i })
  words.run()
  const [mixed, less, back, uBack, iBack] = await words.read(['mixed', 'less', 'back', 'u', 'i'])
  equal('mixed', mixed, u.map(x => {
    const w = Math.imul(x, -1640531527)
    return (w ^ (w >>> 15)) >>> 0
  }))
  equal('less', less, u.map((x, n) => (x < ((i[n] ?? 0) >>> 0) ? 1 : 0)))
  equal('quotients', back, i.map(x => Math.trunc(x / -3) | 0))
  equal('u', uBack, u)
  equal('i', iBack, i)

  const long = await load('hand/long')
  long.set('x', Array.from({ length: 3000 }, (_, k) => k % 7))
  long.run()
  const [sum, same] = await long.read(['sum', 'same'])
  const total = Array.from({ length: 3000 }, (_, k) => k % 7).reduce((s, x) => s + x, 0)
  equal('a long sum', sum, [total, 2 * total])
  equal('not finite', same, [1.5, Infinity, -Infinity, NaN])
  for (const each of [chain, reader, words, long]) each.dispose()
}
