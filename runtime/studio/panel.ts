/**
 * The table of times per call: programs in its rows, devices in its columns, each of which is measured when it is asked for, by a
 * worker of its own. Training rests meanwhile.
 */
import type { ConfigName } from '../../models/vdsm/config.ts'
import { deviceNames, DEVICES } from './devices.ts'
import { element, make, type Control, type Node } from './dom.ts'
import { MEASURED, type MeasuredProgram } from './measured.ts'
import type { FromMeasurer, PageDevice, Timing, ToMeasurer } from './messages.ts'
import { timeText } from './times.ts'

export type Around = {
  readonly build: string
  /** Brings training to rest, and gives what lets it go on. */
  readonly rest: () => Promise<() => void>
}

export type Panel = {
  /** Forgets what has been measured: another configuration, or none while there is nothing to measure. */
  readonly show: (config: ConfigName) => void
}

type Cell = Timing | 'waiting' | 'empty'

export const openPanel = ({ build, rest }: Around): Panel => {
  const [head, body, remarks] = [element('measure-head'), element('measure-rows'), element('measure-remarks')]
  let config: ConfigName | undefined
  let cells: ReadonlyMap<string, Cell> = new Map()
  let current: { readonly device: PageDevice; readonly stop: () => void } | undefined
  const at = (program: MeasuredProgram, device: PageDevice): Cell => cells.get(`${program} ${device}`) ?? 'empty'
  const put = (program: MeasuredProgram, device: PageDevice, cell: Cell): void => {
    cells = new Map([...cells, [`${program} ${device}`, cell]])
  }

  // Made once, so that a button keeps the focus.
  const buttons = new Map(DEVICES.map(device => {
    const button = make<Control>('button')
    button.dataset['measure'] = device
    button.addEventListener('click', () => (current === undefined ? void begin(device) : current.stop()))
    return [device, button] as const
  }))
  head.replaceChildren(make('th'), ...[...buttons].map(([device, button]) => {
    const cell = make('th')
    cell.replaceChildren(make('span', deviceNames[device]), button)
    return cell
  }))
  const places = MEASURED.flatMap(program => DEVICES.map(device => {
    const cell = make('td')
    cell.dataset['cell'] = `${program}-${device}`
    return { program, device, cell }
  }))
  body.replaceChildren(...MEASURED.map(program => {
    const row = make('tr')
    row.replaceChildren(make('th', program), ...places.flatMap(place => (place.program === program ? [place.cell] : [])))
    return row
  }))

  const contentsOf = (timing: Cell): readonly Node[] => {
    if (timing === 'empty') return [make('i', '-')]
    if (timing === 'waiting') return [make('i', '...')]
    if (timing.kind === 'refused') return [make('i', 'refused')]
    return [make('b', timeText(timing.median)), make('small', `${timing.finite ? '' : 'NOT FINITE, '}first ${timeText(timing.first)}`)]
  }

  /** Reasons, each once, and what the devices are. */
  const remarkOf = (device: PageDevice): readonly string[] => {
    const timings = MEASURED.map(program => [program, at(program, device)] as const)
    const words = timings.flatMap(([, timing]) => (typeof timing === 'object' && timing.kind === 'measured' ? [timing.device] : []))
    const refused = timings.flatMap(([program, timing]) => (typeof timing === 'object' && timing.kind === 'refused' ? [[program, timing.why] as const] : []))
    const reasons = [...new Set(refused.map(([, why]) => why))]
      .map(why => `${refused.filter(each => each[1] === why).map(([program]) => program).join(', ')}: ${why}`)
    const named = words.slice(0, 1).map(text => `${deviceNames[device]}: ${text.replace(/^\w+, /, '')}`)
    return [...named, ...reasons.map(text => `${deviceNames[device]}, ${text}`)]
  }

  const draw = (): void => {
    for (const [device, button] of buttons) {
      button.textContent = current?.device === device ? 'Stop' : 'Measure'
      button.disabled = config === undefined || (current !== undefined && current.device !== device)
    }
    for (const { program, device, cell } of places) cell.replaceChildren(...contentsOf(at(program, device)))
    remarks.replaceChildren(...DEVICES.flatMap(remarkOf).map(text => make('li', text)))
  }

  const begin = async (device: PageDevice): Promise<void> => {
    if (config === undefined) return
    const asked: ToMeasurer = { build, config, device }
    let stopped = false
    let worker: Worker | undefined
    let goOn: (() => void) | undefined
    const end = (): void => {
      if (stopped) return
      stopped = true
      worker?.terminate()
      for (const program of MEASURED) if (at(program, device) === 'waiting') put(program, device, 'empty')
      current = undefined
      draw()
      goOn?.()
    }
    const fail = (why: string): void => {
      for (const program of MEASURED) if (at(program, device) === 'waiting') put(program, device, { kind: 'refused', why })
      end()
    }
    const hear = (message: FromMeasurer): void => {
      if (stopped) return
      switch (message.kind) {
        case 'timing': {
          put(message.program, device, message.timing)
          return draw()
        }
        case 'measured': return end()
        case 'failed': return fail(message.text)
      }
    }
    current = { device, stop: end }
    for (const program of MEASURED) put(program, device, 'waiting')
    draw()
    const resume = await rest()
    if (stopped) return resume()
    goOn = resume
    worker = new Worker(new URL('./measurer.js', import.meta.url), { type: 'module' })
    worker.onmessage = ({ data }) => hear(data as FromMeasurer) // what measurer.ts posts
    worker.onerror = event => {
      event.preventDefault()
      fail(`the worker that measures has failed: ${event.message ?? 'its script could not be loaded'}`)
    }
    worker.postMessage(asked)
  }

  return {
    show: next => {
      if (next === config) return
      current?.stop()
      config = next
      cells = new Map()
      draw()
    },
  }
}
