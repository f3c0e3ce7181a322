/**
 * The environment of a module: its imports, functions and constants, each evaluated when it is first read. A module of
 * the user's holds imports, exports, types, const and functions; anything else there would be an effect, and is refused.
 */
import { ts } from 'ts-morph'
import { evaluate } from './evaluate.ts'
import { intrinsicsOf } from './intrinsics.ts'
import { fpTs } from './globals.ts'
import { inLanguage, named, reject, type Machine } from './machine.ts'
import { kindOf } from './refusals.ts'
import { lookup } from './scope.ts'
import { bind, closureOf } from './statements.ts'
import { cell, kind, type Cell, type Env, type Namespace, type Value } from './values.ts'

/** The module that a specifier names, as the type checker resolved it. */
export const target = (m: Machine, specifier: ts.Expression): ts.SourceFile | undefined => {
  const declaration = m.checker.getSymbolAtLocation(specifier)?.valueDeclaration
  return declaration !== undefined && ts.isSourceFile(declaration) ? declaration : undefined
}

/** The environment of a module. */
export const moduleOf = (m: Machine, file: ts.SourceFile): Env => {
  const known = m.modules.get(file)
  if (known !== undefined) return known
  const env: Env = { vars: new Map(), up: undefined, file }
  file.statements.forEach(s => declareTop(m, s, env))
  const inside = m.language(file.fileName)
  if (inside !== undefined) intrinsicsOf(inside).forEach((v, name) => env.vars.set(name, v))
  m.modules.set(file, env)
  return env
}

const declareTop = (m: Machine, s: ts.Statement, env: Env): void => {
  if (ts.isImportDeclaration(s)) return importing(m, s, env)
  if (ts.isExportDeclaration(s) || ts.isTypeAliasDeclaration(s) || ts.isInterfaceDeclaration(s) || ts.isEmptyStatement(s)) return
  if (s.kind === ts.SyntaxKind.ModuleDeclaration && isAmbient(s)) return
  if (ts.isFunctionDeclaration(s)) {
    const { name } = s
    if (s.body === undefined) return // an overload
    const held = cell(inner => closureOf(inner, s, env))
    if (name !== undefined) env.vars.set(name.text, held)
    if ((ts.getCombinedModifierFlags(s) & ts.ModifierFlags.Default) !== 0) env.vars.set('default', held)
    return
  }
  if (ts.isExportAssignment(s)) {
    env.vars.set('default', cell(inner => evaluate(inner, s.expression, env)))
    return
  }
  if (ts.isVariableStatement(s)) {
    if (isAmbient(s)) return
    if ((s.declarationList.flags & ts.NodeFlags.Const) === 0 && !inLanguage(m, s)) reject(m, s, 'let and var at the top of a module are outside the subset: they are state', 'use const')
    s.declarationList.declarations.forEach(d => constant(d, env))
    return
  }
  if (inLanguage(m, s)) return // parts of the language that its eager meaning alone needs
  if (ts.isClassDeclaration(s)) reject(m, s, 'classes are outside the subset', 'use records and functions')
  reject(m, s, `a module of the model holds imports, exports, types, const and functions; this is: ${kindOf(s)}`, 'move it to a file that the model does not import')
}

const isAmbient = (s: ts.Statement): boolean => ts.canHaveModifiers(s) && (s.modifiers ?? []).some(x => x.kind === ts.SyntaxKind.DeclareKeyword)

const constant = (d: ts.VariableDeclaration, env: Env): void => {
  const { name, initializer } = d
  if (initializer === undefined) return
  if (ts.isIdentifier(name)) {
    env.vars.set(name.text, cell(inner => named(inner, name.text, d, () => evaluate(inner, initializer, env))))
    return
  }
  // a pattern is evaluated once, and each of its names reads its part
  const whole = cell(inner => {
    const parts: Env = { vars: new Map(), up: env, file: env.file }
    bind(inner, name, evaluate(inner, initializer, env), parts)
    return Object.fromEntries([...parts.vars]) as { readonly [name: string]: Value } // `bind` sets values, never cells
  })
  const holder: Env = { vars: new Map<string, Value | Cell>([['', whole]]), up: undefined, file: env.file }
  for (const part of namesOf(name)) {
    env.vars.set(part, cell(inner => (lookup(inner, holder, '', d) as { readonly [name: string]: Value })[part])) // the record made above
  }
}

const namesOf = (pattern: ts.BindingName): readonly string[] =>
  ts.isIdentifier(pattern) ? [pattern.text] : pattern.elements.flatMap(e => (ts.isBindingElement(e) ? namesOf(e.name) : []))

const importing = (m: Machine, s: ts.ImportDeclaration, env: Env): void => {
  const clause = s.importClause
  if (clause === undefined) {
    if (!inLanguage(m, s)) reject(m, s, 'an import for its effects is outside the subset', 'import the names that the model uses')
    return
  }
  if (clause.isTypeOnly) return
  const specifier = s.moduleSpecifier
  const read = (name: string, at: ts.Node) => cell(inner => imported(inner, specifier, name, at))
  if (clause.name !== undefined) env.vars.set(clause.name.text, read('default', clause.name))
  const bindings = clause.namedBindings
  if (bindings === undefined) return
  if (ts.isNamespaceImport(bindings)) {
    const { text } = bindings.name
    const space: Namespace = { [kind]: 'namespace', name: text, member: (inner, name, at) => imported(inner, specifier, name, at) }
    env.vars.set(text, space)
    return
  }
  for (const e of bindings.elements) if (!e.isTypeOnly) env.vars.set(e.name.text, read((e.propertyName ?? e.name).text, e))
}

/** The value that a module exports under a name. */
const imported = (m: Machine, specifier: ts.Expression, name: string, at: ts.Node): Value => {
  const text = ts.isStringLiteral(specifier) ? specifier.text : specifier.getText()
  const own = fpTs(text, name)
  if (own !== undefined) return own
  const file = target(m, specifier)
  const allowed = 'a model imports the language, pipe, flow and identity of fp-ts, and pure modules of its own'
  if (/^fp-ts(\/|$)/.test(text)) return reject(m, at, `${name} of ${text} is outside the subset`, `${allowed}; arrays have map, filter, reduce`)
  if (file === undefined) return reject(m, at, `${name} comes from '${text}', which has no source to read`, allowed)
  // A file of a package may import its neighbours: this package's own models are compiled where it is installed.
  const foreign = !text.startsWith('.') && file.fileName.includes('/node_modules/')
  if (file.isDeclarationFile || (foreign && m.language(file.fileName) === undefined)) {
    return reject(m, at, `${name} comes from the package '${text}', which is outside the subset`, allowed)
  }
  return exported(m, file, name, at)
}

/** What a module exports under a name, re-exports followed. */
export const exported = (m: Machine, file: ts.SourceFile, name: string, at: ts.Node): Value => {
  const inside = m.language(file.fileName)
  const special = inside === undefined ? undefined : intrinsicsOf(inside).get(name)
  if (special !== undefined) return special
  const env = moduleOf(m, file)
  for (const s of file.statements) {
    if (!ts.isExportDeclaration(s) || s.isTypeOnly) continue
    const clause = s.exportClause
    if (clause !== undefined && ts.isNamespaceExport(clause) && clause.name.text === name && s.moduleSpecifier !== undefined) {
      const specifier = s.moduleSpecifier
      return { [kind]: 'namespace', name, member: (inner, part, place) => imported(inner, specifier, part, place) }
    }
    if (clause !== undefined && ts.isNamedExports(clause)) {
      const e = clause.elements.find(x => x.name.text === name)
      if (e === undefined) continue
      const from = (e.propertyName ?? e.name).text
      return s.moduleSpecifier === undefined ? lookup(m, env, from, at) : imported(m, s.moduleSpecifier, from, at)
    }
  }
  if (env.vars.has(name)) return lookup(m, env, name, at)
  for (const s of file.statements) {
    if (!ts.isExportDeclaration(s) || s.isTypeOnly || s.exportClause !== undefined || s.moduleSpecifier === undefined) continue
    const from = target(m, s.moduleSpecifier)
    const symbol = from === undefined ? undefined : m.checker.getSymbolAtLocation(s.moduleSpecifier)
    const one = symbol === undefined ? undefined : m.checker.getExportsOfModule(symbol).find(x => x.name === name)
    if (one === undefined) continue
    // straight to the file that says the name, where it may be read: stars can go in circles
    const home = one.declarations?.[0]?.getSourceFile()
    const readable = home !== undefined && (m.language(home.fileName) !== undefined || !(home.isDeclarationFile || home.fileName.includes('/node_modules/')))
    return readable ? exported(m, home, name, at) : imported(m, s.moduleSpecifier, name, at)
  }
  return reject(m, at, `${file.fileName.split('/').at(-1) ?? ''} exports no ${name}`)
}
