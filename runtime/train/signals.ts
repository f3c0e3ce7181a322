/** Ctrl-C without loss: signals are noted, the loop stops between two steps. */

/** Turns SIGINT and SIGTERM into a question that the loop asks after each step; a second signal ends the process at once. */
export const stopOnSignal = (): { readonly stopped: () => boolean; readonly release: () => void } => {
  let asked = false
  const onSignal = (): void => {
    if (asked) process.exit(130) // files are replaced whole, so this damages nothing
    asked = true
    process.stderr.write('\nStopping after this step; the state is being saved. (Once more: stop at once, without saving.)\n')
  }
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, onSignal)
  return { stopped: () => asked, release: () => { for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, onSignal) } }
}
