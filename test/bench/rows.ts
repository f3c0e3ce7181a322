/** What `npm run bench` measures: programs, and the jobs of other libraries that do the same. */

export type Row = {
  /** For `--only`. */
  readonly name: string
  readonly program: string
  readonly what: string
  /** Bytes of a copy that the program is to be compared with: in, and as many out. */
  readonly copy?: number
  /** The name of the same job for the libraries of `peers/`, and which of them can do it. */
  readonly peers?: readonly Peer[]
}

export type Peer = {
  readonly library: 'ort' | 'tfjs' | 'jax'
  readonly job: string
  /** How many threads to ask for: 1, or as many as there are. */
  readonly threads: 'one' | 'all'
}

const inference = (job: string): readonly Peer[] => [
  { library: 'ort', job, threads: 'one' }, { library: 'ort', job, threads: 'all' },
  { library: 'tfjs', job, threads: 'all' }, { library: 'jax', job, threads: 'one' },
]
const training = (job: string): readonly Peer[] => [{ library: 'jax', job, threads: 'one' }]

export const rows: readonly Row[] = [
  { name: 'matmul', program: 'yardsticks/matmul1024', what: 'matmul 1024', peers: inference('matmul1024') },
  { name: 'conv', program: 'yardsticks/convForward', what: 'convolution, 32 x 32x32x32 to 64 channels, 4x4 stride 2', peers: inference('convForward') },
  { name: 'convBackward', program: 'yardsticks/convBackward', what: 'the same with both gradients', peers: training('convBackward') },
  { name: 'vae', program: 'yardsticks/vaeStep', what: 'VAE training step, batch 32 of 64x64', peers: training('vaeStep') },
  { name: 'vdsm', program: 'vdsm/small/frames/trainStep', what: 'VDSM `small` training step of stage 1, 16 x 2 x 4 frames' },
  { name: 'vdsmVideo', program: 'vdsm/small/video/trainStep', what: 'VDSM `small` training step of stage 2, 8 x 2 x 8 frames' },
  { name: 'lstm', program: 'yardsticks/lstmBackward', what: 'LSTM 64 to 256, 16 steps, batch 32, with all gradients' },
  { name: 'chain', program: 'yardsticks/chain10', what: 'ten element-wise operations on 4M numbers', copy: 16 << 20 },
  { name: 'softmax', program: 'yardsticks/softmaxRows', what: 'softmax and logSumExp of 4096 rows of 1000' },
]

/** Why a library is not among the others. */
export const leftOut: readonly string[] = [
  'onnxruntime-web and tfjs-backend-wasm cannot train: the first has no gradients, the second none of convolutions '
    + '(its pure JavaScript backend has, at a hundredth of the speed).',
  'onnxruntime-node and native PyTorch are no JavaScript: the first downloads binaries when it is installed.',
]
