/**
 * The script of the studio's page: shows what the worker that trains (trainer.ts) reports, and passes on what is asked of it.
 * Another model, device or seed is another worker.
 */
import { drawChart } from './chart.ts'
import { deviceNames } from './devices.ts'
import { element, make, page, type Bar, type Canvas, type Control } from './dom.ts'
import { drawGrid } from './grid.ts'
import type { DeviceLine, FromWorker, Loss, Pictures, Settings, ToWorker } from './messages.ts'
import { openPanel } from './panel.ts'
import { defaults, settingsOf } from './settings.ts'
import { timeLeft } from './times.ts'

const [button, reset] = [element<Control>('run'), element<Control>('reset')]
const fields = { config: element<Control>('config'), device: element<Control>('device'), seed: element<Control>('seed'), steps: element<Control>('steps') }
const [chart, grid] = [element<Canvas>('chart'), element<Canvas>('grid')]
const [status, problem, notice] = [element('status'), element('problem'), element('notice')]
const build = new URL('build/', page.location.href).href

type State = 'loading' | 'ready' | 'training' | 'pausing' | 'paused' | 'done' | 'failed'

const query = new URLSearchParams(page.location.search)
let settings = settingsOf(name => query.get(name), defaults)

let state: State = 'loading'
let losses: readonly Loss[] = []
let pictures: Pictures | undefined
let worker: Worker | undefined
/** Training rests while something is measured. */
let held = false
let waiting: readonly (() => void)[] = []

const tell = (message: ToWorker): void => worker?.postMessage(message)

const words: Readonly<Record<State, string>> = {
  loading: 'Loading the programs', ready: 'Ready', training: 'Training', pausing: 'Pausing', paused: 'Paused', done: 'Done', failed: 'Stopped',
}

const show = (next: State): void => {
  state = next
  page.document.body.dataset['state'] = state
  status.textContent = held && state === 'paused' ? 'Paused while measuring' : words[state]
  button.textContent = state === 'training' || state === 'pausing' ? 'Pause' : state === 'paused' ? 'Go on' : 'Start'
  button.disabled = held || !['ready', 'training', 'paused'].includes(state)
  const still = state !== 'training' && state !== 'pausing'
  for (const field of Object.values(fields)) field.disabled = !still
  if (state === 'loading' || state === 'pausing') return
  const told = waiting
  waiting = []
  told.forEach(f => f())
}

const number = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })

/** `stepsPerSecond`: undefined where nothing has been measured since. */
const showNumbers = (stepsPerSecond: number | undefined): void => {
  const [step, loss] = losses.at(-1) ?? [0, undefined]
  element('step').textContent = `${number.format(step)} of ${number.format(settings.steps)}`
  element('loss').textContent = loss === undefined ? '-' : number.format(loss)
  Object.assign(element<Bar>('done'), { max: settings.steps, value: step })
  if (stepsPerSecond === undefined) return
  element('speed').textContent = stepsPerSecond > 0 ? number.format(stepsPerSecond) : '-'
  element('left').textContent = stepsPerSecond > 0 ? (step < settings.steps ? timeLeft(settings.steps - step, stepsPerSecond) : 'none') : '-'
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

const say = (text: string): void => {
  notice.textContent = text
  notice.hidden = text === ''
}

const failed = (text: string): void => {
  problem.textContent = text
  problem.hidden = false
  worker?.terminate()
  worker = undefined
  show('failed')
}

const options = (names: readonly string[], chosen: string): void => {
  fields.config.replaceChildren(...names.map(name => make('option', name)))
  fields.config.value = chosen
}

/** A line for each device, the one in use set off. */
const showDevices = (lines: readonly DeviceLine[]): void => {
  element('devices').replaceChildren(...lines.map(({ device, role, text }) => {
    const line = make('li')
    line.dataset['role'] = role
    line.dataset['device'] = device
    // `wasm, relaxed FMA, 2 threads` has the name in it already.
    line.replaceChildren(make('b', deviceNames[device]), make('span', `${role === 'passed' ? 'not used: ' : ''}${text.replace(`${device}, `, '')}`))
    return line
  }))
  const used = lines.find(({ role }) => role === 'used')
  element('device-name').textContent = used === undefined ? '' : `on ${deviceNames[used.device]}`
}

const hear = (message: FromWorker): void => {
  switch (message.kind) {
    case 'found': return options(message.configs.includes(settings.config) ? message.configs : [settings.config, ...message.configs], settings.config)
    case 'devices': return showDevices(message.lines)
    case 'ready': {
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
    case 'failing': {
      status.textContent = 'Loading the programs again'
      return say(message.text)
    }
    case 'recovered': {
      losses = losses.filter(([step]) => step <= message.steps)
      say(message.text)
      showNumbers(0)
      show(state)
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
  say('')
  element('size').textContent = element('device-name').textContent = ''
  element('devices').replaceChildren()
  showNumbers(0)
  show('loading')
  panel.show(settings.config)
  const made = new Worker(new URL('./trainer.js', import.meta.url), { type: 'module' })
  made.onmessage = ({ data }) => {
    if (made === worker) hear(data as FromWorker) // what trainer.ts posts
  }
  made.onerror = event => {
    event.preventDefault()
    if (made === worker) failed(`The worker that trains has failed: ${event.message ?? 'its script could not be loaded'}.`)
  }
  worker = made
  tell({ kind: 'open', build, settings })
  redraw()
}

const start = (): void => {
  show('training')
  tell({ kind: 'start' })
}
const pause = (): void => {
  show('pausing')
  tell({ kind: 'pause' })
}

/** Brings training to rest for as long as something is measured. */
const rest = async (): Promise<() => void> => {
  held = true
  const was = worker
  const trained = state === 'training' || state === 'pausing'
  if (state === 'training') pause()
  else show(state)
  if (state === 'loading' || state === 'pausing') await new Promise<void>(done => { waiting = [...waiting, done] })
  return () => {
    held = false
    if (trained && was === worker && state === 'paused') start()
    else show(state)
  }
}

const panel = openPanel({ build, rest })

const write = ({ config, device, seed, steps }: Settings): void => {
  if (fields.config.value !== config) options([config], config)
  fields.device.value = device
  fields.seed.value = String(seed)
  fields.steps.value = String(steps)
}

button.addEventListener('click', () => {
  if (state === 'training') pause()
  else if (state === 'ready' || state === 'paused') start()
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
