/**
 * Symbolic sizes. A size is a number or an expression over names - 'Z', 'Z+D', '2*H', '1+(T-1)' - that stands for a
 * number under the configuration in force.
 */
import { refuse } from '../errors.ts'

export type Dims = Readonly<Record<string, unknown>>

// The configuration in force: set while a program's function runs, and only there.
let ambient: Dims = {}

/** Runs `f` with `config` in force, whole, in the place of what was in force before; restores that afterwards, also where `f` throws. */
export const withDims = <T>(config: Dims, f: () => T): T => {
  const before = ambient
  ambient = config
  try {
    return f()
  } finally {
    ambient = before
  }
}

const lookup = (name: string, text: string, config: Dims): number => {
  const value = Object.hasOwn(config, name) ? config[name] : undefined
  if (typeof value === 'number') return value
  const known = Object.keys(config).filter(key => typeof config[key] === 'number')
  return refuse({
    kind: 'config',
    where: 'dimensions',
    message: `size '${text}' names ${name}, which the configuration does not define (it has ${known.length === 0 ? 'no names' : known.join(', ')})`,
    remedy: 'Name it in the config of the program; sizes with names have a value only within program(...).call.',
  })
}

const malformed = (text: string): never =>
  refuse({
    kind: 'config',
    where: 'dimensions',
    message: `'${text}' is not a size`,
    remedy: "Write a number or an expression such as 'Z', 'Z+D', '2*H' or '1+(T-1)'.",
  })

type Parsed = { readonly value: number; readonly rest: readonly string[] }

/** sum = product (('+' | '-') product)*; product = atom ('*' atom)*; atom = number | name | '(' sum ')' */
const parse = (text: string, config: Dims): number => {
  const atom = (tokens: readonly string[]): Parsed => {
    const [head, ...rest] = tokens
    if (head === undefined) return malformed(text)
    if (head === '(') {
      const inner = sum(rest)
      return inner.rest[0] === ')' ? { value: inner.value, rest: inner.rest.slice(1) } : malformed(text)
    }
    if (/^[0-9]/.test(head)) return { value: Number(head), rest }
    return /^[A-Za-z_$]/.test(head) ? { value: lookup(head, text, config), rest } : malformed(text)
  }
  const chain =
    (operand: (tokens: readonly string[]) => Parsed, operators: readonly string[]) =>
    (tokens: readonly string[]): Parsed => {
      let left = operand(tokens)
      while (left.rest[0] !== undefined && operators.includes(left.rest[0])) {
        const right = operand(left.rest.slice(1))
        const value = left.rest[0] === '+' ? left.value + right.value : left.rest[0] === '-' ? left.value - right.value : left.value * right.value
        left = { value, rest: right.rest }
      }
      return left
    }
  const product = chain(atom, ['*'])
  const sum = chain(product, ['+', '-'])
  const tokens = text.match(/[A-Za-z_$][A-Za-z0-9_$]*|[0-9]+|[^\s]/g) ?? []
  const { value, rest } = sum(tokens)
  return rest.length === 0 ? value : malformed(text)
}

/** The value of a size expression under a given configuration. */
export const sizeUnder = (config: Dims, dim: number | string): number => {
  const value = typeof dim === 'number' ? dim : parse(dim, config)
  if (Number.isInteger(value) && value >= 0) return value
  return refuse({
    kind: 'config',
    where: 'dimensions',
    message: `size ${typeof dim === 'number' ? '' : `'${dim}' `}is ${value}: sizes are whole numbers, 0 or more`,
    remedy: typeof dim === 'number' ? 'Write a whole number.' : 'Give its names whole numbers in the config of the program.',
  })
}

/** The value of a size under the configuration in force: a number is itself. Refused (kind 'config') where a name is unknown. */
export const sizeOf = (dim: number | string): number => sizeUnder(ambient, dim)
