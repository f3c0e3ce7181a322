/** A thread of a compile: lets it read TypeScript, as vdsm.mjs does for the first. */
import { register } from 'tsx/esm/api'

register({ tsconfig: false })
await import('./serve.ts')
