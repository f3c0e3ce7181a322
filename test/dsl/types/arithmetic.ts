/** Dim arithmetic, checked by the checker: each line is an error unless the two types are identical. */
import type { Add, Div, Loose, Mod, Mul, AtMost, Product, Same, Show, Sub } from '../../../dsl/shape.ts'

type Is<A, B> = Same<A, B> extends true ? 'same' : { readonly found: A; readonly expected: B }
const same = <T extends 'same'>(...proofs: readonly T[]): number => proofs.length

export const numbers = same<Is<Add<30, 50>, 80>>() + same<Is<Add<999, 1>, 1000>>() + same<Is<Sub<1000, 1>, 999>>() + same<Is<Sub<3, 3>, 0>>() +
  same<Is<Sub<3, 4>, never>>() + same<Is<Mul<64, 64>, 4096>>() + same<Is<Mul<12288, 160>, 1966080>>() + same<Is<Mul<7, 0>, 0>>() +
  same<Is<Div<63, 2>, 31>>() + same<Is<Div<4096, 128>, 32>>() + same<Is<Div<1, 2>, 0>>() + same<Is<Mod<30, 4>, 2>>() + same<Is<Mod<128, 32>, 0>>() +
  same<Is<AtMost<3, 3>, true>>() + same<Is<AtMost<4, 3>, false>>() + same<Is<AtMost<9, 10>, true>>() + same<Is<Product<[3, 64, 64]>, 12288>>()

export const names = same<Is<Add<'Z', 'D'>, 'Z+D'>>() + same<Is<Add<1, Sub<'T', 1>>, 'T'>>() + same<Is<Add<Sub<'T', 1>, 1>, 'T'>>() + same<Is<Sub<'T', 1>, 'T-1'>>() +
  same<Is<Add<1, 'Z'>, 'Z+1'>>() + same<Is<Add<'H', 'H'>, '2*H'>>() + same<Is<Mul<2, 'H'>, '2*H'>>() + same<Is<Mul<'H', 2>, '2*H'>>() +
  same<Is<Sub<Add<'Z', 'D'>, 'D'>, 'Z'>>() + same<Is<Sub<'Z', 'Z'>, 0>>() + same<Is<Sub<Add<'Z', 3>, 'Z'>, 3>>() + same<Is<Add<'Z', Add<'D', 'Z'>>, '2*Z+D'>>() +
  same<Is<Mul<'B', Sub<'T', 1>>, 'B*T-B'>>() + same<Is<Mul<2, Sub<'T', 1>>, '2*T-2'>>() + same<Is<Product<['T', 3, 64, 64]>, '12288*T'>>() + same<Is<Product<['B', 'T', 'Z']>, 'B*T*Z'>>() +
  same<Is<Sub<1, 'T'>, '-T+1'>>() + same<Is<Add<Sub<1, 'T'>, 'T'>, 1>>() + same<Is<Sub<Mul<3, 'H'>, 'H'>, '2*H'>>() + same<Is<Add<Add<'Z', 1>, 'D'>, 'Z+D+1'>>() +
  same<Is<Sub<'D', 'Z'>, 'D-Z'>>() + same<Is<Add<Sub<'D', 'Z'>, Mul<3, 'Z'>>, 'D+2*Z'>>() + same<Is<Mul<Add<'Z', 'D'>, Add<'Z', 'D'>>, 'Z*Z+Z*D+D*Z+D*D'>>()

export const shapes = same<Is<Show<[3, 'Z+D']>, '[3, Z+D]'>>() + same<Is<Show<[]>, '[]'>>() + same<Is<Loose<[3, number]>, true>>() + same<Is<Loose<['Z', number]>, true>>() +
  same<Is<Loose<[3, 'Z']>, false>>() + same<Is<Loose<[]>, false>>() + same<Is<Loose<[3, string]>, true>>() + same<Is<Loose<number[]>, true>>()
