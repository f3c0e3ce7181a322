/**
 * A convolution with a bias and a leaky ReLU as users of gpu.js write it by hand, in several ways: the best of them is
 * what the compiler's kernel is compared with.
 */
import { Input, type GPU } from 'gpu.js'

/** Square images with stride 1: `frames` of `channels` planes, of `size` by `size`, zeros around them. */
export type Conv = {
  readonly frames: number; readonly channels: number; readonly outputs: number
  readonly size: number; readonly window: number; readonly padding: number; readonly slope: number
}

/** Text of a kernel over x, w and b, whether its images come with zeros around them, and the sizes of its output, x fastest. */
type Way = { readonly name: string; readonly code: string; readonly padded: boolean; readonly flat: boolean; readonly output: readonly number[] }

const last = ({ slope }: Conv): string => `return sum > 0.0 ? sum : sum * ${slope};`

/** In three dimensions; a check for every element of the window. */
const nested = (c: Conv): Way => {
  const out = c.size + 2 * c.padding - c.window + 1
  return {
    name: 'arrays of three dimensions', padded: false, flat: false, output: [out, out, c.frames * c.outputs],
    code: `function (x, w, b) {
      const frame = Math.floor(this.thread.z / ${c.outputs});
      const o = this.thread.z - frame * ${c.outputs};
      let sum = b[o];
      for (let c = 0; c < ${c.channels}; c++) {
        for (let ky = 0; ky < ${c.window}; ky++) {
          for (let kx = 0; kx < ${c.window}; kx++) {
            const iy = this.thread.y + ky - ${c.padding};
            const ix = this.thread.x + kx - ${c.padding};
            if (iy >= 0 && iy < ${c.size} && ix >= 0 && ix < ${c.size}) {
              sum += x[frame * ${c.channels} + c][iy][ix] * w[o][c][ky * ${c.window} + kx];
            }
          }
        }
      }
      ${last(c)}
    }`,
  }
}

/** The same over images that have zeros around them: no checks. */
const padded = (c: Conv): Way => {
  const out = c.size + 2 * c.padding - c.window + 1
  return {
    name: 'arrays of three dimensions, zeros around the images', padded: true, flat: false, output: [out, out, c.frames * c.outputs],
    code: `function (x, w, b) {
      const frame = Math.floor(this.thread.z / ${c.outputs});
      const o = this.thread.z - frame * ${c.outputs};
      let sum = b[o];
      for (let c = 0; c < ${c.channels}; c++) {
        for (let ky = 0; ky < ${c.window}; ky++) {
          for (let kx = 0; kx < ${c.window}; kx++) {
            sum += x[frame * ${c.channels} + c][this.thread.y + ky][this.thread.x + kx] * w[o][c][ky * ${c.window} + kx];
          }
        }
      }
      ${last(c)}
    }`,
  }
}

/** Flat arrays; what depends on the output alone is computed once; the rows of the window are checked once each. */
const flat = (c: Conv): Way => {
  const out = c.size + 2 * c.padding - c.window + 1
  const plane = c.size * c.size
  const area = c.window * c.window
  return {
    name: 'flat arrays', padded: false, flat: true, output: [out * out * c.outputs * c.frames],
    code: `function (x, w, b) {
      const place = Math.floor(this.thread.x / ${out * out});
      const at = this.thread.x - place * ${out * out};
      const oy = Math.floor(at / ${out});
      const ox = at - oy * ${out};
      const frame = Math.floor(place / ${c.outputs});
      const o = place - frame * ${c.outputs};
      let sum = b[o];
      for (let c = 0; c < ${c.channels}; c++) {
        for (let ky = 0; ky < ${c.window}; ky++) {
          const iy = oy + ky - ${c.padding};
          if (iy >= 0 && iy < ${c.size}) {
            const row = (frame * ${c.channels} + c) * ${plane} + iy * ${c.size};
            const line = (o * ${c.channels} + c) * ${area} + ky * ${c.window};
            for (let kx = 0; kx < ${c.window}; kx++) {
              const ix = ox + kx - ${c.padding};
              if (ix >= 0 && ix < ${c.size}) { sum += x[row + ix] * w[line + kx]; }
            }
          }
        }
      }
      ${last(c)}
    }`,
  }
}

const settings = { pipeline: true, immutable: true, precision: 'single', tactic: 'precision' } as const

/** The kernels, ready to run on textures, with a way to wait until they are done: it gives a number of the result. */
export const kernelsByHand = (gpu: GPU, conv: Conv, x: Float32Array, w: Float32Array, b: Float32Array) =>
  [nested(conv), padded(conv), flat(conv)].map(way => {
    const side = conv.size + (way.padded ? 2 * conv.padding : 0)
    const planes = conv.frames * conv.channels
    const images = new Float32Array(planes * side * side)
    for (let p = 0; p < planes; p++) {
      for (let row = 0; row < conv.size; row++) {
        const from = (p * conv.size + row) * conv.size
        const shift = way.padded ? conv.padding : 0
        images.set(x.subarray(from, from + conv.size), (p * side + row + shift) * side + shift)
      }
    }
    // The type of inputs knows no typed arrays.
    const shaped = (values: Float32Array, dims: readonly number[]): Input | Float32Array =>
      (way.flat ? values : new Input(values as never, [...dims] as [number, number, number]))
    const upload = (values: Float32Array, dims: readonly number[]) => {
      const index = dims.length === 1 || way.flat ? 'a[this.thread.x]' : 'a[this.thread.z][this.thread.y][this.thread.x]'
      const output = dims.length === 1 || way.flat ? [values.length] : [...dims]
      return gpu.createKernel(`function (a) { return ${index}; }`, { ...settings, output })(shaped(values, dims) as never)
    }
    const textures = [
      upload(images, [side, side, planes]),
      upload(w, [conv.window * conv.window, conv.channels, conv.outputs]),
      gpu.createKernel('function (a) { return a[this.thread.x]; }', { ...settings, output: [b.length] })(b as never),
    ]
    const kernel = gpu.createKernel(way.code, { ...settings, output: [...way.output] })
    return { name: way.name, run: () => kernel(...(textures as never[])) as unknown as { readonly delete: () => void; readonly toArray: () => unknown } }
  })
