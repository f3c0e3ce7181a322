/**
 * Places in sources: file, line and column relative to the working folder, code frames, and which files belong to the
 * language itself (the folder `dsl` of a package called `vdsm`, wherever it is installed).
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { ts } from 'ts-morph'
import type { Place } from '../../dsl/errors.ts'

export const positionOf = (file: ts.SourceFile, position: number): { readonly line: number; readonly column: number } => {
  const { line, character } = file.getLineAndCharacterOfPosition(position)
  return { line: line + 1, column: character + 1 }
}

/** A file's name as messages show it: relative to `cwd` where it lies below it, with forward slashes. */
export const shown = (file: string, cwd: string): string => {
  const path = relative(cwd, file)
  return (path.startsWith('..') ? file : path).split(sep).join('/')
}

/** The path a file really has, symbolic links resolved; the path itself where there is no such file. */
export const real = (path: string): string => {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

export const placeOf = (node: ts.Node, cwd: string): Place => {
  const file = node.getSourceFile()
  return { file: shown(file.fileName, cwd), ...positionOf(file, node.getStart(file)) }
}

const gutter = (text: string, width: number): string => text.padStart(width)

/**
 * Three lines of source around `start`, with carets under what is meant:
 *
 *       11 | const h = relu(x)
 *     > 12 | const y = matmul(w, h)
 *          |                     ^
 */
export const frameOf = (file: ts.SourceFile, start: number, length: number): string => {
  const { line, column } = positionOf(file, start)
  const lines = file.text.split(/\r?\n/)
  const shownLines = [line - 1, line].filter(n => n >= 1)
  const width = String(line).length
  const text = lines[line - 1] ?? ''
  const carets = '^'.repeat(Math.max(1, Math.min(length, text.length - column + 1, 60)))
  return [
    ...shownLines.map(n => `  ${n === line ? '>' : ' '} ${gutter(String(n), width)} | ${lines[n - 1] ?? ''}`.trimEnd()),
    `    ${gutter('', width)} | ${text.slice(0, column - 1).replace(/[^\t]/g, ' ')}${carets}`,
  ].join('\n')
}

export const frameAt = (node: ts.Node): string => {
  const file = node.getSourceFile()
  const start = node.getStart(file)
  return frameOf(file, start, node.getEnd() - start)
}

const packageName = (folder: string): string | undefined => {
  const file = join(folder, 'package.json')
  if (!existsSync(file)) return undefined
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'))
    return typeof parsed === 'object' && parsed !== null && 'name' in parsed && typeof parsed.name === 'string' ? parsed.name : ''
  } catch {
    return ''
  }
}

/** Says where a file lies within the language's own folder (`core/apply.ts`), or undefined where it is not part of it. Remembers folders. */
export const languageFiles = (): ((file: string) => string | undefined) => {
  const roots = new Map<string, string | undefined>()
  /** The package folder above a folder, if it is this package's. */
  const rootOf = (folder: string): string | undefined => {
    if (roots.has(folder)) return roots.get(folder)
    const name = packageName(folder)
    const up = dirname(folder)
    const root = name === 'vdsm' ? folder : name !== undefined || up === folder ? undefined : rootOf(up)
    roots.set(folder, root)
    return root
  }
  const known = new Map<string, string | undefined>()
  return file => {
    if (known.has(file)) return known.get(file)
    const path = real(file)
    const root = rootOf(dirname(path))
    const inside = root === undefined ? undefined : relative(root, path).split(sep).join('/')
    const answer = inside !== undefined && inside.startsWith('dsl/') ? inside.slice('dsl/'.length) : undefined
    known.set(file, answer)
    return answer
  }
}

/** The nearest of `names` to a name, if one is near: at most a third of its letters differ. */
export const nearest = (name: string, names: readonly string[]): string | undefined => {
  const distance = (a: string, b: string): number => {
    const rows = [...b].reduce<readonly number[]>(
      (above, letter, j) =>
        [...a].reduce<readonly number[]>(
          (row, own, i) => [...row, Math.min((above[i + 1] ?? 0) + 1, (row[i] ?? 0) + 1, (above[i] ?? 0) + (own === letter ? 0 : 1))],
          [j + 1],
        ),
      Array.from({ length: a.length + 1 }, (_, i) => i),
    )
    return rows[a.length] ?? 0
  }
  const ranked = names.map(other => ({ other, d: distance(name.toLowerCase(), other.toLowerCase()) })).sort((x, y) => x.d - y.d)
  const best = ranked[0]
  return best !== undefined && best.d <= Math.max(1, Math.floor(Math.max(name.length, best.other.length) / 3)) ? best.other : undefined
}
