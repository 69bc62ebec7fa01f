/**
 * The commands' output: text with colours, tables and progress bars. A terminal gets colours and bars, a pipe does not.
 * Answers go to stdout, everything else to stderr, so that output can be piped.
 */
import { SingleBar } from 'cli-progress';
import { colourOff } from '../config.js';

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 } as const;
export type Colour = keyof typeof CODES;

export interface Terminal {
  colour(colour: Colour, text: string): string;
  /** Prints to stdout, with a line break. */
  print(line?: string): void;
  /** Prints to stdout, as it is. */
  write(text: string): void;
  /** Prints to stderr: what is going on. */
  note(line: string): void;
  /** A bar on stderr; silent if stderr is not a terminal. */
  progress(label: string): ProgressBar;
}

export interface ProgressBar {
  /** Both in the same unit. */
  update(done: number, total: number): void;
  stop(): void;
}

/** The process's own terminal. `--json` output must not be coloured: ask with `colours: false`. */
export function openTerminal({ colours = true } = {}): Terminal {
  const coloured = colours && process.stdout.isTTY === true && !colourOff();
  return {
    colour: (colour, text) => (coloured ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text),
    print: (line = '') => {
      process.stdout.write(`${line}\n`);
    },
    write: (text) => {
      process.stdout.write(text);
    },
    note: (line) => {
      process.stderr.write(`${line}\n`);
    },
    progress: startBar,
  };
}

/** A wait that nobody wonders at. */
const SHORT_MS = 3000;

/** Says that a limit is reached and how long that lasts, once however many requests wait. */
export function limitNotes(terminal: Terminal): (error: Error, waitMs: number) => void {
  let quietUntil = 0;
  return ({ message }, waitMs) => {
    if (waitMs < SHORT_MS || Date.now() < quietUntil) return;
    quietUntil = Date.now() + waitMs;
    terminal.note(`${message} Going on in ${Math.ceil(waitMs / 1000)} s.`);
  };
}

/** Columns padded to their widest cell; numbers to the right. */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, String(cell).length);
    }
  }
  const pad = (cell: string | number, column: number) => {
    const width = widths[column] ?? 0;
    return typeof cell === 'number' ? String(cell).padStart(width) : cell.padEnd(width);
  };
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}

function startBar(label: string): ProgressBar {
  if (process.stderr.isTTY !== true) return { update: () => {}, stop: () => {} };
  const bar = new SingleBar({
    format: `${label} {bar} {percentage}%  {eta_formatted}`,
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
  });
  let started = false;
  return {
    update(done, total) {
      if (!started) bar.start(total, done);
      else {
        bar.setTotal(total);
        bar.update(done);
      }
      started = true;
    },
    stop() {
      if (started) bar.stop();
    },
  };
}
