/**
 * `segment`: how long each segmenter takes to cut 32k tokens of text on one core, in MB/s and as a ratio to the
 * recursive separators. There is one text thread, and the network runs on one thread. The text is the project's own
 * prose.
 */
import { loadConfig } from '../src/config.js';
import { createSegmenter } from '../src/segment/create-segmenter.js';
import type { SegmenterName } from '../src/segment/segmenter.js';
import { createTextService } from '../src/text/text-service.js';
import { proseOf } from './prose.js';
import { type BenchOptions, type BenchReport, describeMachine, median } from './report.js';

const TOKENS = 32_768;
/** UTF-16 units of a token of an ordinary tokenizer; the demo model's own tokens are much shorter. */
const TOKEN_CHARACTERS = 4;
const LIMIT_MS = 300;
const NAMES: readonly SegmenterName[] = ['fixed', 'paragraphs', 'recursive', 'texttiling', 'embedding', 'semantic'];

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const config = loadConfig();
  const text = proseOf(TOKENS * TOKEN_CHARACTERS);
  const textService = await createTextService({ checkpointDir: config.model, maxThreads: 1 });
  const bytes = Buffer.byteLength(text);
  const medians: Record<string, number> = {};
  const rates: Record<string, number> = {};
  let blocks = 0;
  try {
    for (const name of NAMES) {
      const segmenter = await createSegmenter(name, { textService, modelDir: config.segmenterDir });
      const times: number[] = [];
      for (let round = 0; round < (quick ? 4 : 12); round += 1) {
        // A new text each time: a thread remembers the last one.
        const asked = `${text.slice(0, -8)}${String(round).padStart(8)}`;
        const start = performance.now();
        const segments = await segmenter.segment(asked, { targetTokens: 200 });
        const took = performance.now() - start;
        // The first rounds load the network and warm up the compiler.
        if (round > 1) times.push(took);
        if (name === 'semantic') blocks = segments.length;
      }
      medians[`${name}Ms`] = median(times);
      rates[`${name}MBps`] = bytes / 1e3 / median(times);
      progress(`${name}: ${median(times).toFixed(0)} ms`);
    }
  } finally {
    await textService.close();
  }
  const semanticMs = medians.semanticMs as number;
  return {
    name: 'segment',
    machine: describeMachine(),
    config: { tokens: TOKENS, characters: text.length, bytes, targetTokens: 200, threads: 1, blocks },
    medians: { ...medians, ...rates },
    ratios: Object.fromEntries(
      NAMES.map((name) => [`${name} / recursive`, (medians[`${name}Ms`] as number) / (medians.recursiveMs as number)]),
    ),
    checks: [
      {
        claim: `32k tokens are cut in under ${LIMIT_MS} ms on one core`,
        value: semanticMs,
        holds: semanticMs < LIMIT_MS,
      },
    ],
  };
}
