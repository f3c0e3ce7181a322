/**
 * The least time that a kernel can take on this machine: its operations at the rate of a packed matrix product, or its bytes
 * at the rate of a copy, whichever is more. What the compiler counted (operations weighed by their time, every element read
 * and every one written once) and what was measured in the same run meet here.
 */
import type { Rates } from '../device/rates.ts'
import type { KernelInfo } from '../manifest.ts'

/** A kernel that moves no more than this may find it all in a core's second cache. */
export const nearLimit = 512 << 10

export type Floor = {
  /** Of all runs of one call. */
  readonly ms: number
  /** What it is set by: arithmetic, or memory beyond the caches or within them. */
  readonly bound: 'arithmetic' | 'memory' | 'cache'
}

/** The least milliseconds of a kernel in one call of its program. */
export const floorOf = (kernel: Pick<KernelInfo, 'work' | 'bytes' | 'count'>, rates: Rates): Floor => {
  const near = kernel.bytes <= nearLimit
  const arithmetic = kernel.work / rates.productGflops / 1e6
  const memory = kernel.bytes / (near ? rates.nearGBs : rates.farGBs) / 1e6
  return { ms: kernel.count * Math.max(arithmetic, memory), bound: arithmetic >= memory ? 'arithmetic' : near ? 'cache' : 'memory' }
}

/** The least milliseconds of kernels one after the other. */
export const floorOfAll = (kernels: readonly KernelInfo[], rates: Rates): number => kernels.reduce((n, kernel) => n + floorOf(kernel, rates).ms, 0)
