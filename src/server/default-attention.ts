/** The attention of requests that name none: what the checkpoint was trained for, under the operator's settings. */
import { type Config, parseRepair } from '../config.js';
import { DEFAULT_REPAIR_CHOICE, type RepairOptions } from '../engine/engine.js';
import type { ModelConfig } from '../model/imported-model.js';
import type { AttentionMode } from '../prompt/prompt-plan.js';

export interface DefaultAttention {
  mode: AttentionMode;
  /** Only with the mode `block`. */
  repair?: RepairOptions;
}

/**
 * What a checkpoint that nobody trained for blocks gets. In docs/results/smollm2.md and docs/results/repair.md it lies between plain
 * blocks and full attention wherever they differ.
 */
const STOCK_REPAIR = 0.15;

/** @param notice called with one line if blocks of a model are stitched that was not trained for it */
export function defaultAttention(
  config: Pick<Config, 'attention' | 'repair'>,
  { blockAttention }: Pick<ModelConfig, 'blockAttention'>,
  notice: (line: string) => void = () => undefined,
): DefaultAttention {
  const mode = config.attention === 'auto' ? (blockAttention?.mode ?? 'block') : config.attention;
  if (mode === 'full') return { mode };
  const given = parseRepair(config.repair);
  const share = typeof given === 'number' ? given : blockAttention?.mode === 'block' ? 0 : STOCK_REPAIR;
  if (blockAttention?.mode !== 'block') notice(stockWarning(share));
  if (share >= 1) return { mode: 'full' };
  return share === 0 ? { mode } : { mode, repair: { share, by: DEFAULT_REPAIR_CHOICE } };
}

function stockWarning(share: number): string {
  const gets = share === 0 ? 'get plain blocks (--repair 0)' : `get repair ${share}`;
  return (
    'this checkpoint was not trained for block attention: stitching its blocks can cost right answers. Requests that name no ' +
    `attention ${gets}. Measure with blockstitch eval (docs/choosing.md), distil it (docs/distillation.md), or take --attention full`
  );
}
