// @ts-check
/** A worker thread in a browser: see serve.mjs. (What a dropped program leaves there is collected when the browser likes.) */
import { worker } from './serve.mjs'

const scope = /** @type {{ onmessage: (event: { data: any }) => void, postMessage: (data: unknown) => void }} */ (/** @type {unknown} */ (globalThis))
const handle = worker(answer => scope.postMessage(answer), () => undefined)
scope.onmessage = event => handle(event.data)
