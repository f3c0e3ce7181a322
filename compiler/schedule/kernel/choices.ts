/** Rewriting the choices of an expression (`when`): its bounds checks. */
import type { Expr } from './kernel.ts'

export type Choice = Extract<Expr, { kind: 'when' }>

/** An expression with every choice replaced, each shared node once; `visit` is for what is below a choice. */
export const mapChoices = (expr: Expr, replace: (choice: Choice, visit: (e: Expr) => Expr) => Expr): Expr => {
  const done = new Map<Expr, Expr>()
  const visit = (e: Expr): Expr => {
    const known = done.get(e)
    if (known !== undefined) return known
    const out = e.kind === 'when' ? replace(e, visit) : e.kind === 'op' ? { ...e, args: e.args.map(visit) } : e
    done.set(e, out)
    return out
  }
  return visit(expr)
}

/** A choice with fewer checks left; without any it is what it is for. */
export const relaxed = (choice: Choice, guards: Choice['guards'], visit: (e: Expr) => Expr): Expr =>
  guards.length === 0 ? visit(choice.then) : { ...choice, guards, then: visit(choice.then), otherwise: visit(choice.otherwise) }
