/**
 * `blockstitch segment --batch`: JSONL {id, text, options} in, JSONL {id, boundaries, scores, tokens} out, in the same
 * order. Boundaries are UTF-16 offsets between blocks: one fewer than the blocks. A row that cannot be cut gives {id,
 * error}.
 */
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { BlockstitchError } from '../errors.js';
import type { Segment, SegmentOptions } from '../segment/segmenter.js';
import { linesOf } from '../text/lines.js';

interface BatchRow {
  id?: string | number;
  text: string;
  /** As on the wire (target_tokens) or as in the program (targetTokens). */
  options?: Record<string, string | number>;
}

/** Rows that are cut at the same time: threads do the work. */
const AT_ONCE = 4;

const NAMES: Record<string, keyof SegmentOptions> = {
  target_tokens: 'targetTokens',
  min_tokens: 'minTokens',
  max_tokens: 'maxTokens',
};

export async function segmentBatch(
  segment: (text: string, options: SegmentOptions) => Promise<Segment[]>,
  defaults: SegmentOptions,
  input: Readable,
  output: Writable,
): Promise<void> {
  const waiting: Promise<string>[] = [];
  const writeFirst = async () => {
    const line = await waiting.shift();
    if (line !== undefined && !output.write(`${line}\n`)) await once(output, 'drain');
  };
  for await (const line of linesOf(input)) {
    if (line.trim() === '') continue;
    waiting.push(cutRow(line, segment, defaults));
    if (waiting.length >= AT_ONCE) await writeFirst();
  }
  while (waiting.length > 0) await writeFirst();
}

async function cutRow(
  line: string,
  segment: (text: string, options: SegmentOptions) => Promise<Segment[]>,
  defaults: SegmentOptions,
): Promise<string> {
  let id: string | number | undefined;
  try {
    const row = JSON.parse(line) as BatchRow;
    id = row.id;
    if (typeof row.text !== 'string') throw new TypeError('a row needs a text');
    const segments = await segment(row.text, optionsOf(row, defaults));
    return JSON.stringify({
      id,
      boundaries: segments.slice(0, -1).map(({ end }) => end),
      scores: segments.slice(0, -1).map(({ boundaryScore }) => Number(boundaryScore.toFixed(4))),
      tokens: segments.map(({ tokens }) => tokens),
    });
  } catch (error) {
    const code = error instanceof BlockstitchError ? { code: error.code } : {};
    return JSON.stringify({ id, error: { ...code, message: error instanceof Error ? error.message : String(error) } });
  }
}

/** A row's target stands instead of the granularity that was typed. */
function optionsOf(row: BatchRow, { granularity, ...defaults }: SegmentOptions): SegmentOptions {
  const own: SegmentOptions = {};
  for (const [name, value] of Object.entries(row.options ?? {})) Object.assign(own, { [NAMES[name] ?? name]: value });
  return {
    ...defaults,
    ...(granularity === undefined || own.targetTokens !== undefined ? {} : { granularity }),
    ...own,
  };
}
