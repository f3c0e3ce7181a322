/** The package's own version, as its package.json says. Node only. */
import { readFileSync } from 'node:fs'

export const ownVersion = (): string => {
  const read: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  return typeof read === 'object' && read !== null && 'version' in read ? String(read.version) : 'unknown'
}
