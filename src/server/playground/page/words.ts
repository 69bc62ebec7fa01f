/** Figures as words. */
import type { Tier } from './wire.js';

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

export function count(number: number, one: string, many = `${one}s`): string {
  return `${whole.format(number)} ${number === 1 ? one : many}`;
}

export const number = (value: number): string => whole.format(value);

export function milliseconds(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return ms >= 100 ? `${whole.format(ms)} ms` : `${ms.toFixed(1)} ms`;
}

/** "3.4 times", for a ratio above 1. */
export const times = (ratio: number): string => `${ratio >= 9.95 ? whole.format(ratio) : ratio.toFixed(1)} times`;

const PLACES: Record<Tier | 'computed', string> = {
  pool: 'pool',
  host: 'host memory',
  lmdb: 'LMDB',
  redis: 'Redis',
  computed: 'computed',
};

/** Where a block was found. */
export const place = (origin: Tier | 'computed'): string => PLACES[origin];

/** Where a block would be found now: the nearest tier. */
export const nearest = (tiers: readonly Tier[]): string => (tiers[0] === undefined ? 'not cached' : PLACES[tiers[0]]);

/** The first words of a text, on one line. */
export function beginning(text: string, characters: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= characters ? line : `${line.slice(0, characters).replace(/\s+\S*$/, '')} …`;
}

/** Scores are probabilities that spread over several magnitudes: log-odds of -5 to 3 are shown as 0 to 1. */
export function strengthShown(score: number): number {
  const odds = Math.log(Math.max(score, 1e-6) / Math.max(1 - score, 1e-6));
  return Math.max(0, Math.min(1, (odds + 5) / 8));
}
