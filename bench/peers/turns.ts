/** Who is asked what, and in which round. llama.cpp needs so long for long prompts that a run would take hours else. */
import type { Case } from './cases.js';
import type { Contender } from './contenders.js';
import type { Figures } from './figures.js';
import { ROW } from './rows.js';

/** Prompts beyond this are asked of llama.cpp in the first round only, and of its best settings only. */
const LONG_TOKENS = 1000;
/** Short prompts, by whose figures the best settings are chosen. */
const CHOOSING = [ROW.prefill(2048), ROW.decode(16)];

/** How often decode is measured in the one visit behind a long prompt. */
export const REPEATS_OF_ONE_VISIT = 5;

/** @param figures what was measured before; llama.cpp's best settings come from there */
export function isAsked(contender: Contender, { needs, tokens, name }: Case, round: number, figures: Figures): boolean {
  if (needs === 'store') return contender.startWithStore !== undefined;
  if (needs === 'own') return contender.kind === 'ours';
  if (contender.kind !== 'llama.cpp') return true;
  // With one slot, streams would wait for each other; those with many have room for streams only.
  if (needs === 'streams' || contender.slots !== 1) return needs === 'streams' && contender.slots !== 1;
  if (!name.startsWith('documents') || tokens <= LONG_TOKENS) return true;
  return round === 0 && isAmongBest(contender, figures);
}

/** Whether a setting is the best of its way of attention in prefill or in decode; all are, before these were measured. */
function isAmongBest({ name, flash }: Contender, figures: Figures): boolean {
  return CHOOSING.some((row) => {
    const rivals = figures
      .contenders(row)
      .filter((each) => each.startsWith('llama.cpp') && each.endsWith(' flash') === flash);
    const best = figures.best(row, rivals);
    return best === undefined || best.contender === name;
  });
}
