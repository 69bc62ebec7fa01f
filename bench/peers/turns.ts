/** Who is asked what, and in which round. llama.cpp needs so long for long prompts that a run would take hours else. */
import type { Case } from './cases.js';
import type { Contender } from './contenders.js';
import type { Figures } from './figures.js';
import { ROW } from './rows.js';

/** Documents beyond this are put to llama.cpp in the first round only, and to its best settings only. */
const LONG_TOKENS = 1000;
/** So are streams with more tokens behind, but to all that take streams. */
const SHORT_STREAM_TOKENS = 100;
/** Beyond this, what is best in decode is asked too, not only what is best in prefill. */
const VERY_LONG_TOKENS = 4096;

/** How often decode is measured in the one visit behind a long prompt. */
export const REPEATS_OF_ONE_VISIT = 5;

/** @param figures what was measured before; llama.cpp's best settings come from there */
export function isAsked(contender: Contender, { needs, tokens, name }: Case, round: number, figures: Figures): boolean {
  if (needs === 'store') return contender.startWithStore !== undefined;
  if (needs === 'own') return contender.kind === 'ours';
  if (contender.kind !== 'llama.cpp') return true;
  // With one slot, streams would wait for each other; those with many have room for streams only.
  if (needs === 'streams') return contender.slots !== 1 && (round === 0 || tokens <= SHORT_STREAM_TOKENS);
  if (contender.slots !== 1) return false;
  if (!name.startsWith('documents') || tokens <= LONG_TOKENS) return true;
  const choosing = tokens > VERY_LONG_TOKENS ? [ROW.prefill(2048), ROW.decode(16)] : [ROW.prefill(2048)];
  return round === 0 && choosing.some((row) => isBestOfItsKind(contender, row, figures));
}

/** Whether a setting is the best with or without flash attention in a row; all are, before the row was measured. */
function isBestOfItsKind({ name, flash }: Contender, row: string, figures: Figures): boolean {
  const rivals = figures
    .contenders(row)
    .filter((each) => each.startsWith('llama.cpp') && each.endsWith(' flash') === flash);
  const best = figures.best(row, rivals);
  return best === undefined || best.contender === name;
}
