/** The options that say which data a command works on, as the table of the data sets has them. */
import { InvalidArgumentError, type Command } from 'commander'
import { DATA_OPTIONS, type Reading } from '../data/open.ts'

const reader = (reading: Reading) => (text: string): string | number => {
  switch (reading.kind) {
    case 'text':
      return text
    case 'choice':
      if (!reading.values.includes(text)) throw new InvalidArgumentError(`Expected ${reading.values.join(' or ')}.`)
      return text
    case 'whole': {
      const value = Number(text)
      if (!/^\d+$/.test(text) || value < reading.least || value > reading.most) {
        throw new InvalidArgumentError(`Expected a whole number from ${reading.least} to ${reading.most}.`)
      }
      return value
    }
  }
}

/** Adds every option of `DataOptions`; none has a default here, so that a command can tell what was asked for. */
export const withDataOptions = (command: Command): Command =>
  DATA_OPTIONS.reduce((c, { flag, argument, help, reading }) => c.option(`${flag} ${argument}`, help, reader(reading)), command)
