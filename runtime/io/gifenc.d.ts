/** What is used of gifenc (CommonJS, without types of its own): quantisation to a palette, and the writing of GIF89a. */
declare module 'gifenc' {
  type Palette = readonly (readonly [red: number, green: number, blue: number])[]
  type FrameOptions = {
    /** Of the first frame: the global palette; of later ones: a local palette. Without one a frame uses the global palette. */
    readonly palette?: Palette
    /** Milliseconds, rounded to hundredths of a second. */
    readonly delay?: number
    /** 0: for ever, -1: once. */
    readonly repeat?: number
  }
  type Encoder = {
    readonly writeFrame: (index: Uint8Array, width: number, height: number, options?: FrameOptions) => void
    readonly finish: () => void
    readonly bytes: () => Uint8Array
  }
  const gifenc: {
    readonly GIFEncoder: () => Encoder
    /** `rgba` must be the whole of its buffer, here and below. */
    readonly quantize: (rgba: Uint8Array, colours: number, options?: { readonly format?: 'rgb565' }) => Palette
    readonly applyPalette: (rgba: Uint8Array, palette: Palette, format?: 'rgb565') => Uint8Array
  }
  export default gifenc
}
