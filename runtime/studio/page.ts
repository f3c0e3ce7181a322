/**
 * The script of the studio's page: shows what the worker (trainer.ts) reports, and passes on what is asked of it. The
 * address may say `?config=tiny&steps=30&device=wasm&seed=1`. Another model, device or seed is another worker.
 */
import type { ConfigName } from '../../models/vdsm/config.ts'
import { schedules } from '../../models/vdsm/schedules.ts'
import { drawChart } from './chart.ts'
import { element, page, type Canvas, type Control } from './dom.ts'
import { drawGrid } from './grid.ts'
import type { DeviceChoice, FromWorker, Loss, Pictures, Settings, ToWorker } from './messages.ts'

const [button, reset] = [element<Control>('run'), element<Control>('reset')]
const fields = { config: element<Control>('config'), device: element<Control>('device'), seed: element<Control>('seed'), steps: element<Control>('steps') }
const [chart, grid] = [element<Canvas>('chart'), element<Canvas>('grid')]
const [status, problem, notes] = [element('status'), element('problem'), element('notes')]

type State = 'loading' | 'ready' | 'training' | 'pausing' | 'paused' | 'done' | 'failed'

const DEVICES: readonly DeviceChoice[] = ['auto', 'webgpu', 'wasm']
const isConfig = (name: string): name is ConfigName => Object.hasOwn(schedules, name)
const whole = (text: string | null, low: number, high: number, other: number): number => {
  const value = Number(text)
  return text !== null && /^\d+$/.test(text.trim()) && value >= low && value <= high ? value : other
}

const settingsOf = (get: (name: keyof Settings) => string | null, otherwise: Settings): Settings => {
  const config = get('config') ?? ''
  return {
    config: isConfig(config) ? config : otherwise.config,
    device: DEVICES.find(device => device === get('device')) ?? otherwise.device,
    seed: whole(get('seed'), 0, Number.MAX_SAFE_INTEGER, otherwise.seed),
    steps: whole(get('steps'), 1, 1_000_000, otherwise.steps),
  }
}

const query = new URLSearchParams(page.location.search)
let settings = settingsOf(name => query.get(name), { config: 'small-16', device: 'auto', seed: 0, steps: 1000 })

let state: State = 'loading'
let losses: readonly Loss[] = []
let pictures: Pictures | undefined
let worker: Worker | undefined

const tell = (message: ToWorker): void => worker?.postMessage(message)

const words: Readonly<Record<State, string>> = {
  loading: 'Loading the programs', ready: 'Ready', training: 'Training', pausing: 'Pausing', paused: 'Paused', done: 'Done', failed: 'Stopped',
}

const show = (next: State): void => {
  state = next
  page.document.body.dataset['state'] = state
  status.textContent = words[state]
  button.textContent = state === 'training' || state === 'pausing' ? 'Pause' : state === 'paused' ? 'Go on' : 'Start'
  button.disabled = !['ready', 'training', 'paused'].includes(state)
  const still = state !== 'training' && state !== 'pausing'
  for (const field of Object.values(fields)) field.disabled = !still
}

const number = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })

const showNumbers = (stepsPerSecond: number | undefined): void => {
  const [step, loss] = losses.at(-1) ?? [0, undefined]
  element('step').textContent = `${number.format(step)} of ${number.format(settings.steps)}`
  element('loss').textContent = loss === undefined ? '-' : number.format(loss)
  if (stepsPerSecond !== undefined) element('speed').textContent = stepsPerSecond > 0 ? number.format(stepsPerSecond) : '-'
}

let asked = false
/** Draws before the next picture of the screen, once for however many changes. */
const redraw = (): void => {
  if (asked) return
  asked = true
  page.requestAnimationFrame(() => {
    asked = false
    drawChart(chart, losses, settings.steps)
    if (pictures === undefined) return
    drawGrid(grid, pictures)
    element('drawn').textContent = pictures.drawn ? `drawn after step ${number.format(pictures.step)}` : 'nothing learnt yet'
  })
}

const failed = (text: string): void => {
  problem.textContent = text
  problem.hidden = false
  worker?.terminate()
  worker = undefined
  show('failed')
}

const options = (names: readonly string[], chosen: string): void => {
  fields.config.replaceChildren(...names.map(name => {
    const option = page.document.createElement('option')
    option.textContent = name
    return option
  }))
  fields.config.value = chosen
}

/** `wasm, relaxed FMA, 2 threads` with the names that the page uses. */
const deviceWords = (device: string): string => device.replace(/^wasm, /, 'WebAssembly: ').replace(/^webgpu, /, 'WebGPU: ')

const hear = (message: FromWorker): void => {
  switch (message.kind) {
    case 'opening': {
      notes.textContent = message.notes.join(' ')
      return options(message.configs.includes(settings.config) ? message.configs : [settings.config, ...message.configs], settings.config)
    }
    case 'ready': {
      element('device-name').textContent = deviceWords(message.device)
      element('size').textContent = `The model has ${number.format(message.parameters)} parameters.`
      return show('ready')
    }
    case 'progress': {
      losses = [...losses, ...message.losses]
      showNumbers(message.stepsPerSecond)
      return redraw()
    }
    case 'pictures': {
      pictures = message.pictures
      return redraw()
    }
    case 'rested': return show(message.finished ? 'done' : 'paused')
    case 'failed': return failed(message.text)
  }
}

/** Everything from the beginning, with the settings as they are. */
const begin = (): void => {
  worker?.terminate()
  losses = []
  problem.hidden = true
  notes.textContent = element('size').textContent = ''
  element('device-name').textContent = '-'
  showNumbers(0)
  show('loading')
  const made = new Worker(new URL('./trainer.js', import.meta.url), { type: 'module' })
  made.onmessage = ({ data }) => {
    if (made === worker) hear(data as FromWorker) // what trainer.ts posts
  }
  made.onerror = event => {
    event.preventDefault()
    if (made === worker) failed(`The worker that trains has failed: ${event.message ?? 'its script could not be loaded'}.`)
  }
  worker = made
  tell({ kind: 'open', build: new URL('build/', page.location.href).href, settings })
  redraw()
}

const write = ({ config, device, seed, steps }: Settings): void => {
  if (fields.config.value !== config) options([config], config)
  fields.device.value = device
  fields.seed.value = String(seed)
  fields.steps.value = String(steps)
}

button.addEventListener('click', () => {
  if (state === 'training') {
    show('pausing')
    tell({ kind: 'pause' })
  } else if (state === 'ready' || state === 'paused') {
    show('training')
    tell({ kind: 'start' })
  }
})
reset.addEventListener('click', begin)
for (const field of Object.values(fields)) {
  field.addEventListener('change', () => {
    settings = settingsOf(name => fields[name].value, settings)
    write(settings)
    begin()
  })
}
page.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw)
page.addEventListener('resize', redraw)

// For a look from the console, and for tests.
Object.assign(globalThis, { studio: { state: () => state, losses: () => losses } })

write(settings)
begin()
