/** Numbers as pixels: the few characters that the axes of a chart take, each five by seven squares of two by two pixels. */

const GLYPHS: Readonly<Record<string, readonly string[]>> = {
  '0': ['.###.', '#...#', '#...#', '#...#', '#...#', '#...#', '.###.'],
  '1': ['..#..', '.##..', '..#..', '..#..', '..#..', '..#..', '.###.'],
  '2': ['.###.', '#...#', '....#', '...#.', '..#..', '.#...', '#####'],
  '3': ['.###.', '#...#', '....#', '..##.', '....#', '#...#', '.###.'],
  '4': ['...#.', '..##.', '.#.#.', '#..#.', '#####', '...#.', '...#.'],
  '5': ['#####', '#....', '####.', '....#', '....#', '#...#', '.###.'],
  '6': ['..##.', '.#...', '#....', '####.', '#...#', '#...#', '.###.'],
  '7': ['#####', '....#', '...#.', '...#.', '..#..', '..#..', '..#..'],
  '8': ['.###.', '#...#', '#...#', '.###.', '#...#', '#...#', '.###.'],
  '9': ['.###.', '#...#', '#...#', '.####', '....#', '...#.', '.##..'],
  '-': ['.....', '.....', '.....', '.###.', '.....', '.....', '.....'],
  '.': ['.....', '.....', '.....', '.....', '.....', '.##..', '.##..'],
  e: ['.....', '.....', '.###.', '#...#', '#####', '#....', '.###.'],
}
const [ACROSS, DOWN, SCALE] = [5, 7, 2]

/** Pixels that a text takes, a square between characters. */
export const textWidth = (text: string): number => SCALE * Math.max(0, text.length * (ACROSS + 1) - 1)
export const TEXT_HEIGHT = SCALE * DOWN

/** Calls `dot` for every inked pixel of a text whose upper left corner is (0, 0). Other characters than digits, `-`, `.` and `e` are blank. */
export const drawText = (text: string, dot: (x: number, y: number) => void): void =>
  [...text].forEach((character, i) => GLYPHS[character]?.forEach((row, y) => [...row].forEach((pixel, x) => {
    if (pixel !== '#') return
    for (let n = 0; n < SCALE * SCALE; n++) dot(SCALE * (i * (ACROSS + 1) + x) + (n % SCALE), SCALE * y + Math.floor(n / SCALE))
  })))
