/** The programs of the whole model that the page times: what makes something of videos. */
export const MEASURED = ['encode', 'transfer', 'generate'] as const
export type MeasuredProgram = (typeof MEASURED)[number]
