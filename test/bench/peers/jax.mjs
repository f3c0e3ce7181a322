/** jax-js on its WebAssembly backend (one thread in Node); functions are compiled with `jit`. */
import { blockUntilReady, defaultDevice, grad, init, jit, lax, nn, numpy as np, valueAndGrad } from '@jax-js/jax'
import { conv, sizeOf, vae, vaeBatch, vaeParams, values, versionOf } from './data.mjs'

const [stride, pad] = [[2, 2], [[1, 1], [1, 1]]]
const tensor = (shape, data) => np.array(data).reshape(shape)
const down = (x, w) => lax.convGeneralDilated(x, w, stride, pad)
const column = b => b.reshape([1, -1, 1, 1])

/** Every use of an array consumes it, so that what is needed again is taken by `ref`. */
const lossOf = ([p, x, eps]) => {
  const batch = eps.shape[0]
  const [e1, b1, e2, b2, e3, b3, wl, bl, wv, bv, w0, b0, d1, c1, d2, c2, d3, c3] = p
  const layer = (h, w, b) => nn.relu(down(h, w).add(column(b)))
  const up = (h, w, b) => lax.convTranspose(h, w, stride, pad, { transposeKernel: true }).add(column(b))
  const h = layer(layer(layer(x.ref, e1, b1), e2, b2), e3, b3).reshape([batch, 8192])
  const loc = np.matmul(h.ref, np.transpose(wl)).add(bl)
  const logVariance = np.matmul(h, np.transpose(wv)).add(bv)
  const z = loc.ref.add(np.exp(logVariance.ref.mul(0.5)).mul(eps))
  const g = nn.relu(np.matmul(z, np.transpose(w0)).add(b0)).reshape([batch, 128, 8, 8])
  const logits = up(nn.relu(up(nn.relu(up(g, d1, c1)), d2, c2)), d3, c3)
  const kl = np.sum(np.square(loc).add(np.exp(logVariance.ref)).sub(logVariance.add(1))).mul(0.5)
  const likelihood = np.sum(x.mul(logits.ref).sub(nn.softplus(logits)))
  return kl.sub(likelihood).div(batch)
}

/** A step of Adam at its first count, as ours is measured. */
const step = jit((p, m, v, x, eps) => {
  const [loss, gradients] = valueAndGrad(q => lossOf([q, x, eps]))(p.map(w => w.ref))
  const next = p.map((w, i) => {
    const m1 = m[i].mul(0.9).add(gradients[i].ref.mul(0.1))
    const v1 = v[i].mul(0.999).add(np.square(gradients[i]).mul(0.001))
    return [w.sub(m1.ref.div(0.1).div(np.sqrt(v1.ref.div(0.001)).add(1e-8)).mul(1e-3)), m1, v1]
  })
  return [loss, next.map(n => n[0]), next.map(n => n[1]), next.map(n => n[2])]
})

const jobs = {
  matmul1024: () => {
    const [a, b] = [1, 2].map(seed => tensor([1024, 1024], values(1024 * 1024, seed)))
    const f = jit((x, y) => np.matmul(x, y))
    return { call: () => f(a.ref, b.ref), of: y => y }
  },
  convForward: () => {
    const [x, w] = [tensor(conv.x, values(sizeOf(conv.x), 1)), tensor(conv.w, values(sizeOf(conv.w), 2))]
    const f = jit(down)
    return { call: () => f(x.ref, w.ref), of: y => y }
  },
  convBackward: () => {
    const [x, w, ct] = [tensor(conv.x, values(sizeOf(conv.x), 1)), tensor(conv.w, values(sizeOf(conv.w), 2)), tensor(conv.y, values(sizeOf(conv.y), 3))]
    const f = jit((a, b, c) => [down(a.ref, b.ref), grad((p, q) => np.sum(down(p, q).mul(c)), { argnums: [0, 1] })(a, b)])
    return { call: () => f(x.ref, w.ref, ct.ref), of: ([y, [dx, dw]]) => { y.dispose(); dx.dispose(); return dw } }
  },
  vaeStep: () => {
    const batch = 4
    const params = vaeParams().map((p, i) => tensor(vae[i][1], p))
    const zeros = () => vae.map(([, shape]) => np.zeros(shape))
    const { x, eps } = vaeBatch(batch)
    const [images, noise, m, v] = [tensor([batch, 3, 64, 64], x), tensor([batch, 32], eps), zeros(), zeros()]
    const all = list => list.map(a => a.ref)
    return {
      batch, call: () => step(all(params), all(m), all(v), images.ref, noise.ref),
      of: ([loss, ...rest]) => { rest.flat().forEach(a => a.dispose()); return loss },
    }
  },
}

export const prepare = async job => {
  await init('wasm')
  defaultDevice('wasm')
  const { call, of, batch } = jobs[job]()
  let last
  return {
    name: 'jax-js', version: versionOf('@jax-js/jax'), threads: 1, ...(batch === undefined ? {} : { batch }),
    run: async () => {
      if (last !== undefined) of(last).dispose()
      last = call()
      await blockUntilReady(last)
    },
    result: async () => {
      const data = await of(last).data()
      last = undefined
      return data
    },
  }
}
