/** Stands in for the eager device in the module for browsers, where a model's source cannot be run: its host says so. */
import type { Host } from '../device/host.ts'
import type { ProgramInfo } from '../manifest.ts'

export const loadEager = (host: Host, root: string, program: ProgramInfo) => host.source(root, program.file)
