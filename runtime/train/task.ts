/** Between the two ways of saying no: tasks that end in an `Either`, and functions that throw a `Refusal`. */
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { Refusal, type Failure } from '../../dsl/errors.ts'

/** Runs a task; throws its failure. */
export const orThrow = async <A>(task: TE.TaskEither<Failure, A>): Promise<A> => {
  const result = await task()
  if (E.isLeft(result)) throw new Refusal(result.left)
  return result.right
}

/** The value of an `Either`; throws its failure. */
export const right = <A>(either: E.Either<Failure, A>): A => {
  if (E.isLeft(either)) throw new Refusal(either.left)
  return either.right
}

/** Runs a function that may throw a `Refusal`; other errors are bugs and go on being thrown. */
export const attempt = <A>(act: () => Promise<A>): TE.TaskEither<Failure, A> => async () => {
  try {
    return E.right(await act())
  } catch (error) {
    if (error instanceof Refusal) return E.left(error.failure)
    throw error
  }
}
