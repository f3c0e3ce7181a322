/** Units in the last place of float32. */
const word = new Float32Array(1)
const bits = new Int32Array(word.buffer)
/** The distance from |x| (as f32) to the next f32. */
export const ulp = (x: number): number => {
  word[0] = Math.abs(x)
  if (!Number.isFinite(word[0]!)) return 2 ** 104
  bits[0]! += 1
  const next = word[0]!
  bits[0]! -= 1
  return next === Infinity ? 2 ** 104 : next - word[0]!
}
