/** Identifiers of kernels of gpu.js: words of JavaScript, and what kernels call, are nobody's. */
import { natives } from '../../../runtime/device/webgl/natives.ts'
import { namingBut } from '../text/names.ts'

const reserved: ReadonlySet<string> = new Set([
  ...Object.keys(natives),
  ...`
  arguments async await break case catch class const continue debugger default delete do else enum eval export extends false finally for function
  if implements import in instanceof interface let new null of package private protected public return static super switch this throw true try
  typeof undefined var void while with yield Infinity NaN Math Number Array constants output thread color
  `.split(/\s+/).filter(word => word !== ''),
])

/** What functions are called. */
const helper = /_f32(_|$)/

/** Gives every label a name that no other has: `i`, `i_2`, `i_3`. `taken` has those that stand already, and gets the new ones. */
export const naming = (taken: Set<string> = new Set()): ((label: string) => string) => namingBut(name => reserved.has(name) || helper.test(name), taken)
