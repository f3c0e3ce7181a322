/** Identifiers of WGSL: words that it keeps for itself. */
import { namingBut } from '../text/names.ts'

export { identifier } from '../text/names.ts'

/** Words that WGSL keeps for itself, and the types and functions of its own that the printer uses. */
const reserved: ReadonlySet<string> = new Set(`
  alias break case const const_assert continue continuing default diagnostic discard else enable false fn for if let loop override requires return struct
  switch true var while
  NULL Self abstract active alignas alignof as asm asm_fragment async attribute auto await become cast catch class co_await co_return co_yield coherent
  column_major common compile compile_fragment concept const_cast consteval constexpr constinit crate debugger decltype delete demote
  demote_to_helper do dynamic_cast enum explicit export extends extern external fallthrough filter final finally friend from fxgroup get goto groupshared
  highp impl implements import inline instanceof interface layout lowp macro macro_rules match mediump meta mod module move mut mutable namespace new nil
  noexcept noinline nointerpolation non_coherent noncoherent noperspective null nullptr of operator package packoffset partial pass patch pixelfragment
  precise precision premerge priv protected pub public readonly ref regardless register reinterpret_cast require resource restrict self set shared
  sizeof smooth snorm static static_assert static_cast std subroutine super target template this thread_local throw trait try type typedef typeid
  typename typeof union unless unorm unsafe unsized use using varying virtual volatile wgsl where with writeonly yield
  abs array bitcast bool clamp exp f16 f32 floor fma i32 max min round select sqrt u32 vec4 storageBarrier workgroupBarrier main tile_t infinity nan
  subgroupAdd subgroupMax subgroupMin local_index workgroup subgroup_index
`.split(/\s+/).filter(word => word !== ''))

/** What functions of a module are called. */
const helper = /_f32(x4)?$|^pow_f32/

/** Gives every label a name of WGSL that no other has: `i`, `i_2`, `i_3`. `taken` has those that stand already, and gets the new ones. */
export const naming = (taken: Set<string> = new Set()): ((label: string) => string) => namingBut(name => reserved.has(name) || helper.test(name), taken)
