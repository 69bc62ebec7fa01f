/**
 * `update`: a document of 20k tokens is ingested, then again with 1% of it edited in the middle: replaced, put in, left
 * out. Reports the share of tokens that is prefilled again. The demo model computes over an LMDB of its own; the text is the project's
 * own prose, and the edit is prose from elsewhere in it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { COMMON_SCOPE } from '../src/cache/tiers.js';
import { loadConfig } from '../src/config.js';
import { ServerMetrics } from '../src/server/metrics/server-metrics.js';
import { openServices } from '../src/server/open-services.js';
import type { Services } from '../src/server/services.js';
import { proseOf } from './prose.js';
import { type BenchOptions, type BenchReport, describeMachine, median } from './report.js';

const TOKENS = 20_000;
const EDITED = 0.01;
const MOST_PREFILLED = 0.05;
/** Places of the edit, as shares of the document: about the middle. */
const PLACES = [0.44, 0.47, 0.5, 0.53, 0.56];

type Edit = (text: string, at: number, length: number, other: string) => string;
const EDITS: Record<string, Edit> = {
  replaced: (text, at, length, other) => text.slice(0, at) + other + text.slice(at + length),
  inserted: (text, at, _length, other) => text.slice(0, at) + other + text.slice(at),
  deleted: (text, at, length) => text.slice(0, at) + text.slice(at + length),
};

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const directory = mkdtempSync(join(tmpdir(), 'blockstitch-update-'));
  const config = loadConfig({ storeDir: directory });
  const services = await openServices(config, new ServerMetrics('bench'));
  try {
    const characters = await charactersOf(TOKENS, services);
    const prose = proseOf(2 * characters);
    const text = prose.slice(0, characters);
    const shares: Record<string, number[]> = {};
    let tokens = 0;
    for (const [name, edit] of Object.entries(EDITS)) {
      for (const place of quick ? PLACES.slice(2, 3) : PLACES) {
        const at = wordAt(text, Math.round(place * characters));
        const length = wordAt(text, at + Math.round(EDITED * characters)) - at;
        // From behind the document: nothing of it is cached.
        const from = wordAt(prose, characters + at);
        const other = prose.slice(from, wordAt(prose, from + length));
        tokens = (await ingested(services, text)).tokens;
        const after = await ingested(services, edit(text, at, length, other));
        const share = after.computed / after.tokens;
        progress(
          `${name} at ${place}: ${after.computed} of ${after.tokens} tokens prefilled (${(100 * share).toFixed(2)}%)`,
        );
        shares[name] = [...(shares[name] ?? []), share];
        await services.documents.forget(COMMON_SCOPE, ID);
      }
    }
    const all = Object.values(shares).flat();
    const worst = Math.max(...all);
    return {
      name: 'update',
      machine: describeMachine(),
      config: { tokens, characters, edited: EDITED, segmenter: config.segmenter, targetTokens: config.targetTokens },
      medians: {},
      ratios: {
        ...Object.fromEntries(
          Object.entries(shares).map(([name, values]) => [`${name}: prefilled / tokens`, median(values)]),
        ),
        'worst: prefilled / tokens': worst,
      },
      checks: [
        {
          claim: `1% edited in the middle: at most ${100 * MOST_PREFILLED}% of the tokens are prefilled, wherever and however`,
          value: worst,
          holds: worst <= MOST_PREFILLED,
        },
      ],
    };
  } finally {
    await services.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

const ID = 'updated';

async function ingested({ documents }: Services, text: string): Promise<{ tokens: number; computed: number }> {
  const { signal } = new AbortController();
  const { record, reports } = await documents.ingest(COMMON_SCOPE, { id: ID, text }, { signal });
  const sum = (parts: readonly { tokens: number }[]) => parts.reduce((total, { tokens }) => total + tokens, 0);
  return { tokens: sum(record.blocks), computed: sum(reports.filter(({ origin }) => origin === 'computed')) };
}

/** Where a word begins, from `at` on. */
function wordAt(text: string, at: number): number {
  const space = text.indexOf(' ', at);
  return space < 0 ? text.length : space + 1;
}

/** Characters of the prose that are about so many tokens. */
async function charactersOf(tokens: number, { text }: Services): Promise<number> {
  const sample = proseOf(100_000);
  return Math.round((tokens * sample.length) / (await text.encode(sample)).length);
}
