/** What the scheduler says: the rows of one step, and what the outside must do or know. Knows shapes only. */
import type { CacheTier, LowerTier } from '../../cache/tiers.js';
import type { PromptProbe } from '../repair/prompt-probe.js';
import type { RepairRun } from '../repair/prompt-repair.js';
import type { PoolBlock } from './block-table.js';
import type { IngestTask } from './ingest-queue.js';
import type { Sequence } from './sequence.js';

/** Rows in a step: of one sequence (its tail, or a repaired run), or of one block that is prefilled. */
export type PlannedRows =
  /** `draft`: tokens that are tried behind the sequence's last one, a row each. `rows` counts them. */
  | { sequence: Sequence; block?: undefined; run?: RepairRun; rows: number; draft?: Int32Array }
  | { block: PoolBlock; sequence?: undefined; run?: undefined; rows: number; draft?: undefined };

/** Rows of a sequence with its last token only: it decodes. */
export type DecodingRows = PlannedRows & { sequence: Sequence; run?: undefined };

export interface StepPlan {
  entries: PlannedRows[];
  /** New tokens of all entries. */
  rows: number;
  /** Rows of a prompt that run through the probe, before the step. */
  probe?: { sequence: Sequence; probe: PromptProbe; rows: number };
}

export const NO_DRAFT = new Int32Array(0);

/** A sequence that got logits for its last row, and for those of its draft. */
export interface SampledRows {
  sequence: Sequence;
  draft: Int32Array;
}

/** What the outside must do or know since the last plan. */
export interface SchedulerNews {
  admitted: Sequence[];
  expired: Sequence[];
  /** Blocks to ask the tiers below for; answer with `settle`. */
  loads: PoolBlock[];
  /** Blocks to copy out and save. They are held until `copied`. */
  saves: { block: PoolBlock; durable: boolean; forgotten: readonly LowerTier[] }[];
  /** Ingested blocks that are ready. `saved`: durable when their save in `saves` is; else the store had them before. */
  ingested: { task: IngestTask; origin: CacheTier | 'computed'; saved: boolean; prefillMs: number }[];
}

export const noNews = (): SchedulerNews => ({ admitted: [], expired: [], loads: [], saves: [], ingested: [] });
