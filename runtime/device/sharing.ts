/**
 * A module asks for plain memory, on which one thread runs without any cost of several. For several threads the same
 * module is made to ask for shared memory: one bit of its import.
 */

const importSection = 2
const memoryKind = 2
const [bounded, boundedAndShared] = [1, 3]

/** An unsigned LEB128 number and the place behind it. */
const unsigned = (bytes: Uint8Array, at: number): readonly [value: number, next: number] => {
  let [value, shift, next] = [0, 0, at]
  for (;;) {
    const byte = bytes[next++] ?? 0
    value += (byte & 127) * 2 ** shift
    shift += 7
    if (byte < 128) return [value, next]
  }
}

/** Where the flags of the memory import stand: behind the names of a module that imports a memory and nothing else. */
const flagsAt = (bytes: Uint8Array): number | null => {
  for (let at = 8; at < bytes.length;) {
    const [size, start] = unsigned(bytes, at + 1)
    if (bytes[at] === importSection) {
      const [, first] = unsigned(bytes, start)
      const [module, moduleName] = unsigned(bytes, first)
      const [name, field] = unsigned(bytes, moduleName + module)
      const kind = field + name
      return bytes[kind] === memoryKind && bytes[kind + 1] === bounded ? kind + 1 : null
    }
    at = start + size
  }
  return null
}

/** The module over shared memory, or null where it does not import a bounded plain memory. */
export const overShared = (bytes: Uint8Array): Uint8Array | null => {
  const at = flagsAt(bytes)
  if (at === null) return null
  const changed = bytes.slice()
  changed[at] = boundedAndShared
  return changed
}
