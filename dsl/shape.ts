/**
 * Dimensions and exact arithmetic on them, at the type level.
 *
 * A dim is a number (`64`) or a name (`'Z'`) or a polynomial in names, written in ONE normal form: terms in the order in
 * which they were added, like terms merged, the constant last: `Z+D`, `T-1`, `2*H`, `12288*T`, `B*T-B`. So `Add<1, Sub<'T', 1>>`
 * is `'T'`. The order is kept on purpose: `concat(z, d)` has `Z+D` features and `concat(d, z)` has `D+Z`, and a layer made
 * for one refuses the other. For dims that are type parameters the arithmetic stays unevaluated and compares by identity.
 */

/** A dimension: its size or its name. */
export type Dim = number | string
/** A shape is a tuple of dims. (No constraint here says so: it would keep conditional types unresolved for generic dims.) */
export type Shape = readonly unknown[]
/** A dim as text; its own alias, so that a generic dim prints as one name. */
export type Text<D> = D extends Dim ? `${D}` : '?'

/**
 * Identical. Between tuples or tensors of type parameters and anything else it resolves at once (`[N]` is not `[3]`);
 * between a type parameter itself and a literal it stays unresolved. Within type aliases one side must be a parameter of the
 * alias, never a tuple of it: that would resolve where the alias is declared.
 */
export type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false

// ---- digits: decimal text, added and multiplied least significant digit first ------------------------------------
type U = [[], [0], [0, 0], [0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0]]
type Ten = [...U[9], 0]
type Unary<D extends string> = D extends keyof U ? (U[D] extends readonly 0[] ? U[D] : never) : never
type Length<T extends readonly unknown[]> = `${T['length'] & Dim}`
type Times<T extends readonly 0[]> = {
  0: []; 1: T; 2: [...T, ...T]; 3: [...T, ...T, ...T]; 4: [...T, ...T, ...T, ...T]; 5: [...T, ...T, ...T, ...T, ...T]
  6: [...T, ...T, ...T, ...T, ...T, ...T]; 7: [...T, ...T, ...T, ...T, ...T, ...T, ...T]; 8: [...T, ...T, ...T, ...T, ...T, ...T, ...T, ...T]
  9: [...T, ...T, ...T, ...T, ...T, ...T, ...T, ...T, ...T]
}
type TimesDigit<T extends readonly 0[], D extends string> = D extends `${infer N extends keyof Times<[]>}` ? Times<T>[N] : never
type Times10<T extends readonly 0[]> = [...T, ...T, ...T, ...T, ...T, ...T, ...T, ...T, ...T, ...T]

type Reverse<S extends string, R extends string = ''> = S extends `${infer D}${infer T}` ? Reverse<T, `${D}${R}`> : R
type Trim<S extends string> = S extends `0${infer T}` ? (T extends '' ? '0' : Trim<T>) : S
type ToNumber<S extends string> = S extends `${infer N extends number}` ? N : never

type Carry<S extends string> = S extends `${infer H}${infer L}` ? (L extends '' ? [S, '0'] : [L, H]) : never
type AddStep<X extends [string, string], A extends string, B extends string, R extends string> = AddDigits<A, B, X[1], `${R}${X[0]}`>
type AddDigits<A extends string, B extends string, C extends string = '0', R extends string = ''> =
  A extends `${infer a}${infer As}`
    ? B extends `${infer b}${infer Bs}` ? AddStep<Carry<Length<[...Unary<a>, ...Unary<b>, ...Unary<C>]>>, As, Bs, R>
    : AddStep<Carry<Length<[...Unary<a>, ...Unary<C>]>>, As, '', R>
  : B extends `${infer b}${infer Bs}` ? AddStep<Carry<Length<[...Unary<b>, ...Unary<C>]>>, '', Bs, R>
  : C extends '0' ? R : `${R}${C}`

/** never when negative */
type SubDigits<A extends string, B extends string, W extends string = '0', R extends string = ''> =
  A extends `${infer a}${infer As}`
    ? B extends `${infer b}${infer Bs}` ? SubStep<Unary<a>, [...Unary<b>, ...Unary<W>], As, Bs, R> : SubStep<Unary<a>, Unary<W>, As, '', R>
  : B extends '' ? (W extends '0' ? R : never) : never
type SubStep<A extends readonly 0[], B extends readonly 0[], As extends string, Bs extends string, R extends string> =
  A extends readonly [...B, ...infer D] ? SubDigits<As, Bs, '0', `${R}${Length<D>}`>
  : [...A, ...Ten] extends readonly [...B, ...infer D] ? SubDigits<As, Bs, '1', `${R}${Length<D>}`> : never

type MulDigit<A extends string, D extends string, C extends string = '0', R extends string = ''> =
  A extends `${infer a}${infer As}` ? MulStep<Carry<Length<[...TimesDigit<Unary<a>, D>, ...Unary<C>]>>, As, D, R> : C extends '0' ? R : `${R}${C}`
type MulStep<X extends [string, string], A extends string, D extends string, R extends string> = MulDigit<A, D, X[1], `${R}${X[0]}`>
type MulDigits<A extends string, B extends string> =
  B extends `${infer b}${infer Bs}` ? (Bs extends '' ? MulDigit<A, b> : AddDigits<MulDigit<A, b>, `0${MulDigits<A, Bs>}`>) : '0'

/** Most significant digit first; the divisor is unary (at most three digits). */
type DivDigits<A extends string, S extends readonly 0[], Rem extends readonly 0[] = [], R extends string = ''> =
  A extends `${infer a}${infer As}` ? DivStep<Quotient<[...Times10<Rem>, ...Unary<a>], S>, As, S, R> : [R, Rem]
type Quotient<N extends readonly 0[], S extends readonly 0[], Q extends readonly 0[] = []> = N extends readonly [...S, ...infer R extends readonly 0[]] ? Quotient<R, S, [...Q, 0]> : [Q, N]
type DivStep<X extends [readonly 0[], readonly 0[]], A extends string, S extends readonly 0[], R extends string> = DivDigits<A, S, X[1], `${R}${Length<X[0]>}`>
type ToUnary<S extends string, R extends readonly 0[] = []> = S extends `${infer D}${infer T}` ? ToUnary<T, [...Times10<R>, ...Unary<D>]> : R

type SumText<A extends string, B extends string> = Trim<Reverse<AddDigits<Reverse<A>, Reverse<B>>>>
type DifferenceText<A extends string, B extends string> = SubDigits<Reverse<A>, Reverse<B>> extends infer R extends string ? ([R] extends [never] ? never : Trim<Reverse<R>>) : never
type ProductText<A extends string, B extends string> = A extends '1' ? B : B extends '1' ? A : Trim<Reverse<MulDigits<Reverse<A>, Reverse<B>>>>

// ---- polynomials: a list of [sign, coefficient, monomial], the constant (monomial '') last ------------------------
type Sign = '+' | '-'
type Term = readonly [Sign, string, string]
type Parse<S extends string> = S extends `-${infer R}` ? Cut<R, '-'> : Cut<S, '+'>
type Cut<S extends string, G extends Sign> =
  S extends `${infer A}+${infer B}` ? (A extends `${infer C}-${infer E}` ? [ToTerm<C, G>, ...Cut<`${E}+${B}`, '-'>] : [ToTerm<A, G>, ...Cut<B, '+'>])
  : S extends `${infer A}-${infer B}` ? [ToTerm<A, G>, ...Cut<B, '-'>]
  : [ToTerm<S, G>]
type ToTerm<S extends string, G extends Sign> =
  S extends `${number}` ? [G, S, ''] : S extends `${infer N}*${infer M}` ? (N extends `${number}` ? [G, N, M] : [G, '1', S]) : [G, '1', S]

type Insert<L extends readonly unknown[], T> =
  T extends readonly [infer G extends Sign, infer N extends string, infer M extends string]
    ? L extends readonly [readonly [infer G2 extends Sign, infer N2 extends string, infer M2 extends string], ...infer R]
      ? M2 extends M ? (Merge<G2, N2, G, N> extends infer X extends readonly [Sign, string] ? (X[1] extends '0' ? R : [[X[0], X[1], M], ...R]) : never)
        : M2 extends '' ? [T, ...L]
        : [L[0], ...Insert<R, T>]
      : N extends '0' ? [] : [T]
    : never
type Merge<G extends Sign, N extends string, G2 extends Sign, N2 extends string> =
  G extends G2 ? [G, SumText<N, N2>]
  : [DifferenceText<N, N2>] extends [never] ? [G2, DifferenceText<N2, N>] : [G, DifferenceText<N, N2>]
type InsertAll<L extends readonly unknown[], Ts extends readonly unknown[]> = Ts extends readonly [infer T, ...infer R] ? InsertAll<Insert<L, T>, R> : L
type Flip = { '+': '-'; '-': '+' }
type Negated<Ts extends readonly unknown[]> = Ts extends readonly [infer T extends Term, ...infer R] ? [[Flip[T[0]], T[1], T[2]], ...Negated<R>] : []

type Monomial<A extends string, B extends string> = A extends '' ? B : B extends '' ? A : `${A}*${B}`
type MulTerm<T extends Term, Ts extends readonly unknown[]> = Ts extends readonly [infer H extends Term, ...infer R]
  ? [[T[0] extends H[0] ? '+' : '-', ProductText<T[1], H[1]>, Monomial<T[2], H[2]>], ...MulTerm<T, R>] : []
type MulTerms<As extends readonly unknown[], Bs extends readonly unknown[], L extends readonly unknown[] = []> =
  As extends readonly [infer T extends Term, ...infer R] ? MulTerms<R, Bs, InsertAll<L, MulTerm<T, Bs>>> : L

type WriteTerm<N extends string, M extends string> = M extends '' ? N : N extends '1' ? M : `${N}*${M}`
type Write<Ts extends readonly unknown[], R extends string = ''> = Ts extends readonly [infer T extends Term, ...infer Q]
  ? Write<Q, `${R}${R extends '' ? (T[0] extends '-' ? '-' : '') : T[0]}${WriteTerm<T[1], T[2]>}`> : R
/** The dim of a list of terms: a number where it is constant. */
type ToDim<Ts> = Ts extends readonly [] ? 0 : Ts extends readonly [readonly ['+', infer N extends string, '']] ? ToNumber<N> : Ts extends readonly unknown[] ? Write<Ts> : never

/** X, closed to inference: TypeScript does not infer backwards into the computation that X is. */
export type Settled<X> = [0, X] extends [0, infer R] ? R : never

// ---- arithmetic -------------------------------------------------------------------------------------------------
/** a + b: 80 for 30 and 50, `Z+D` for `Z` and `D`, `T` for 1 and `T-1`. */
export type Add<A, B> = B extends 0 ? A : A extends 0 ? B : [A, B] extends [number, number] ? (number extends A | B ? number : ToNumber<SumText<Text<A>, Text<B>>>) : ToDim<InsertAll<Parse<Text<A>>, Parse<Text<B>>>>
/** a - b; never when both are numbers and a < b. */
export type Sub<A, B> = B extends 0 ? A : [A, B] extends [number, number] ? (number extends A | B ? number : ToNumber<DifferenceText<Text<A>, Text<B>>>) : ToDim<InsertAll<Parse<Text<A>>, Negated<Parse<Text<B>>>>>
/** a * b */
export type Mul<A, B> = B extends 1 ? A : A extends 1 ? B : [A, B] extends [number, number] ? (number extends A | B ? number : ToNumber<ProductText<Text<A>, Text<B>>>) : ToDim<MulTerms<Parse<Text<A>>, Parse<Text<B>>>>
/** floor(a / b) for numbers, b below 1000; never for names. */
export type Div<A, B> = B extends 1 ? A : [A, B] extends [number, number] ? (number extends A | B ? number : ToNumber<Trim<DivDigits<Text<A>, ToUnary<Text<B>>>[0]>>) : never
/** a mod b for numbers, b below 1000; never for names. */
export type Mod<A, B> = [A, B] extends [number, number] ? (number extends A | B ? number : ToNumber<Length<DivDigits<Text<A>, ToUnary<Text<B>>>[1]>>) : never
/** a <= b for numbers. */
export type AtMost<A, B> = [DifferenceText<Text<B>, Text<A>>] extends [never] ? false : true

/** Number of elements. */
export type Product<S extends Shape> = S extends readonly [] ? 1 : S extends readonly [infer A] ? A : S extends readonly [infer A, ...infer R] ? Mul<A, Product<R>> : never

// ---- shapes -----------------------------------------------------------------------------------------------------
/** `[3, 64, 64]` as text. */
export type Show<S extends Shape> = S extends readonly [infer A, ...infer R] ? `[${Word<A>}${ShowRest<R>}]` : S extends readonly [] ? '[]' : '[...]'
type ShowRest<S extends Shape> = S extends readonly [infer A, ...infer R] ? `, ${Word<A>}${ShowRest<R>}` : ''
/** A dim in a message. */
type Word<D> = number extends D ? 'number' : string extends D ? 'string' : Text<D>
/** The same of a dim that may be a union: `3 | 4`. */
type Words<D> = Several<[D]> extends true ? Either<D> : Word<D>
type Either<U> = Some<U> extends infer L ? ([Exclude<U, L>] extends [never] ? Word<L> : `${Either<Exclude<U, L>>} | ${Word<L>}`) : never
type Some<U> = (U extends unknown ? (x: () => U) => void : never) extends (x: infer I) => void ? (I extends () => infer L ? L : never) : never
/** A shape with dims that are not one literal, as text: `[3 | 4, number]`. */
export type ShowLoose<S extends Shape> = S extends readonly [infer A, ...infer R] ? `[${Words<A>}${LooseRest<R>}]` : S extends readonly [] ? '[]' : '[...]'
type LooseRest<S extends Shape> = S extends readonly [infer A, ...infer R] ? `, ${Words<A>}${LooseRest<R>}` : ''
/** ` [3 != 4]` for the first dims that differ between two shapes of one rank, otherwise nothing. */
export type Clash<A extends Shape, B extends Shape> =
  A['length'] extends B['length'] ? FirstClash<A, B> : ''
type FirstClash<A extends Shape, B extends Shape> =
  A extends readonly [infer H, ...infer R] ? (B extends readonly [infer I, ...infer Q] ? (Same<H, I> extends true ? FirstClash<R, Q> : ` [${Word<H>} != ${Word<I>}]`) : '') : ''
/** A mutable copy of a tuple of dims, as it is written in `Tensor<[...]>`. */
export type Plain<S extends Shape> = S extends readonly [...infer E] ? E : never
/** Without the leading dim. */
export type Tail<S extends Shape> = S extends readonly [unknown, ...infer R] ? R : never
/** Whether N is one literal and not a union; false or boolean for a union. Unresolved for a type parameter. */
export type Lone<N, All = N> = N extends unknown ? ([All] extends [N] ? true : false) : never
/** `Loose` in a box. */
export type LooseIn<S> = S extends Shape ? [Loose<S>] : [false]
/**
 * Whether some dim is not one literal but any `number` or `string` or one of several. 'open' for `Shape` itself, which says
 * nothing. Unresolved for tuples of type parameters, so compare it in a box: `Same<LooseIn<S>, [true]>` is false for them at once.
 */
export type Loose<S extends Shape> = LooseBox<{ [K in keyof S]: [S[K]] }>
type LooseBox<B> = B extends readonly [infer H extends readonly unknown[], ...infer R]
  ? Same<H, [number]> extends true ? true : Same<H, [string]> extends true ? true : Several<H> extends true ? true : LooseBox<R>
  : B extends readonly [] ? false : Same<B, readonly [unknown][]> extends true ? 'open' : true
/** Whether the dim in a box is a union. (The mapped type gives one box a member: `[3] | [4]` is not `[3 | 4]`. For a type parameter it is the box itself.) */
type Several<H extends readonly unknown[]> = Same<{ [K in H[0] & Dim]: [K] }[H[0] & Dim], H> extends true ? false : true

// ---- names under a config -----------------------------------------------------------------------------------------
type ValueOf<N extends string, C> = N extends keyof C ? (C[N] extends number ? `${C[N]}` : never) : never
type MonomialOf<M extends string, C> = M extends `${infer A}*${infer B}` ? ProductText<ValueOf<A, C>, MonomialOf<B, C>> : M extends '' ? '1' : ValueOf<M, C>
type Balance<Ts extends readonly unknown[], C, P extends string = '0', N extends string = '0'> =
  Ts extends readonly [infer T extends Term, ...infer R]
    ? T[0] extends '+' ? Balance<R, C, SumText<P, ProductText<T[1], MonomialOf<T[2], C>>>, N> : Balance<R, C, P, SumText<N, ProductText<T[1], MonomialOf<T[2], C>>>>
  : ToNumber<DifferenceText<P, N>>
/** The number that a dim stands for under a config: 80 for `Z+D` under { Z: 30, D: 50 }; never where a name is unknown. */
export type Value<D, C> = D extends number ? D : D extends keyof C ? C[D] : D extends string ? Balance<Parse<D>, C> : never
/** The names in a dim, as a union. */
export type Names<D> = D extends string
  ? D extends `${infer A}+${infer B}` ? Names<A> | Names<B> : D extends `${infer A}-${infer B}` ? Names<A> | Names<B> : D extends `${infer A}*${infer B}` ? Names<A> | Names<B>
  : D extends `${number}` | '' ? never : D
  : never
