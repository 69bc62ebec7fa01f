/** What one question to the server came to, and what it is called. Knows answers and figures, no element. */
import type { ChatBody, Report, Usage } from './wire.js';
import { number, times } from './words.js';

export interface Run {
  /** `cold`, `cached`, ...: how the blocks were found; known when the answer is there, or given by a comparison. */
  label: string;
  body: ChatBody;
  /** Ids of the page's documents, in prompt order. */
  order: readonly number[];
  state: 'waiting' | 'streaming' | 'done' | 'failed' | 'stopped';
  text: string;
  /** To the first token. Measured here until the server's own figure comes with the end of the answer. */
  ttftMs?: number;
  usage?: Usage;
  report?: Report;
  error?: unknown;
}

/** How many of an answer's document blocks were found in a tier. */
export function hits({ blocks }: Report): { found: number; asked: number } {
  const asked = blocks.filter(({ kind }) => kind === 'document');
  return { found: asked.filter(({ origin }) => origin !== 'computed').length, asked: asked.length };
}

/** @param earlier runs over the same texts, cut in the same way */
export function labelOf(report: Report, order: readonly number[], earlier: readonly Run[]): string {
  if (report.attention === 'full') return 'Full attention';
  const { found, asked } = hits(report);
  if (asked === 0) return 'Without documents';
  if (found === 0) return 'Cold';
  if (found < asked) return 'Partly cached';
  const before = earlier.filter((run) => run.state === 'done' && run.order.length > 0);
  const isNewOrder = before.length > 0 && before.every((run) => run.order.join() !== order.join());
  return isNewOrder ? 'Cached, reordered' : 'Cached';
}

/** "412 of 1,530 prompt tokens computed". */
export function computedTokens({
  prompt_tokens: prompt,
  prompt_tokens_details: { cached_tokens: cached },
}: Usage): string {
  return `${number(prompt - cached)} of ${number(prompt)} prompt tokens computed`;
}

/** One sentence on four runs of one question; undefined until all are done. */
export function verdict(cold: Run, cached: Run, reordered: Run, full: Run): string | undefined {
  const all = [cold, cached, reordered, full];
  if (!all.every(({ state, ttftMs }) => state === 'done' && ttftMs !== undefined)) return undefined;
  const ratio = (of: Run) => (of.ttftMs as number) / (reordered.ttftMs as number);
  const gain = (of: Run, words: string) => (ratio(of) > 1.05 ? [`${times(ratio(of))} sooner than ${words}`] : []);
  const gains = [...gain(cold, 'cold'), ...gain(full, 'under full attention')];
  const speed =
    gains.length === 0
      ? 'In another order the first token came no sooner: so short a prompt is computed in no time.'
      : `In another order the first token came ${gains.join(' and ')}.`;
  return `${speed} ${sameness(cold.text, cached.text, reordered.text)}`;
}

/** The order of documents is part of a prompt: another one may well give another answer, from cold blocks too. */
function sameness(cold: string, cached: string, reordered: string): string {
  if (cached !== cold) return 'Cold and cached blocks gave different answers.';
  if (reordered !== cold) return 'Cold and cached blocks gave the same answer, the other order another one.';
  return 'Cold, cached and reordered blocks gave the same answer.';
}
