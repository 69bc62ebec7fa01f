/**
 * `text`: the way of a new document from its text to blocks that the engine takes: the trained segmenter cuts it, the
 * tokenizer makes ids, the chat template frames it. Counts the ids that are made for a document of 2 MiB. Compares the
 * time for a document of 32k tokens with the time to cut it and to tokenize it once. There is one text thread; the text
 * is the project's own prose.
 */
import { loadConfig } from '../src/config.js';
import { createSegmentation } from '../src/documents/segmentation.js';
import { PromptBuilder } from '../src/prompt/prompt-builder.js';
import { readLimits } from '../src/segment/segment-limits.js';
import { segmentSemantic } from '../src/segment/segment-worker.js';
import { createTextService, type TextService } from '../src/text/text-service.js';
import { Tokenizer } from '../src/text/tokenizer.js';
import { proseOf } from './prose.js';
import { type BenchOptions, type BenchReport, describeMachine, median } from './report.js';

const LARGE_CHARACTERS = 2 * 2 ** 20;
const TOKENS = 32_768;
const MOST_MADE = 1.02;
const MOST_TIME = 1.15;

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const config = loadConfig();
  const textService = await createTextService({ checkpointDir: config.model, maxThreads: 1 });
  try {
    const made = await countWork(textService, config.segmenterDir, proseOf(quick ? 2 ** 18 : LARGE_CHARACTERS));
    progress(`${made.made} ids made for ${made.inText} tokens`);
    const text = await textOf(TOKENS, textService);
    const times = await measure(textService, text, quick ? 6 : 24, progress);
    const once = times.cutMs + times.tokenizeMs;
    const ratios = {
      'ids made / tokens in the text': made.made / made.inText,
      'characters counted / characters': made.counted / made.characters,
      'text to blocks / (cut + tokenize once)': times.blocksMs / once,
      'text to blocks / cut': times.blocksMs / times.cutMs,
    };
    return {
      name: 'text',
      machine: describeMachine(),
      config: {
        segmenter: 'semantic',
        largeCharacters: made.characters,
        largeTokens: made.inText,
        tokens: TOKENS,
        characters: text.length,
        targetTokens: config.targetTokens,
        threads: 1,
      },
      medians: { ...times },
      ratios,
      checks: [
        {
          claim: `ids made / tokens in a large document <= ${MOST_MADE}`,
          value: ratios['ids made / tokens in the text'],
          holds: ratios['ids made / tokens in the text'] <= MOST_MADE,
        },
        {
          claim: `text to blocks of ${TOKENS} tokens / (cutting + tokenizing once) <= ${MOST_TIME}`,
          value: ratios['text to blocks / (cut + tokenize once)'],
          holds: ratios['text to blocks / (cut + tokenize once)'] <= MOST_TIME,
        },
      ],
    };
  } finally {
    await textService.close();
  }
}

/** Runs the worker's function in this thread, where the work of every tokenizer can be counted. */
async function countWork(textService: TextService, modelDir: string, text: string) {
  const { encode, count } = Tokenizer.prototype;
  let made = 0;
  let counted = 0;
  Tokenizer.prototype.encode = function (given, options) {
    const ids = encode.call(this, given, options);
    made += ids.length;
    return ids;
  };
  Tokenizer.prototype.count = function (given, options) {
    counted += given.length;
    return count.call(this, given, options);
  };
  try {
    const { checkpointDir } = textService;
    await segmentSemantic({ checkpointDir, modelDir, text, tenant: '', limits: readLimits({ targetTokens: 200 }) });
  } finally {
    Object.assign(Tokenizer.prototype, { encode, count });
  }
  return { made, counted, characters: text.length, inText: textService.tokenizer.count(text) };
}

/** Medians in milliseconds. Each round has new texts of equal length. */
async function measure(
  textService: TextService,
  text: string,
  rounds: number,
  progress: (line: string) => void,
): Promise<{ cutMs: number; tokenizeMs: number; blocksMs: number }> {
  const segment = createSegmentation(textService, loadConfig());
  const prompts = new PromptBuilder({ textService, sinkTokenIds: new Int32Array() });
  const times = { cutMs: [] as number[], tokenizeMs: [] as number[], blocksMs: [] as number[] };
  const ways: Record<keyof typeof times, (fresh: string) => Promise<unknown>> = {
    cutMs: (fresh) => segment(fresh, { segmenter: 'semantic' }),
    tokenizeMs: (fresh) => textService.encode(fresh),
    blocksMs: async (fresh) => {
      const segments = await segment(fresh, { segmenter: 'semantic' });
      return prompts.documentBlocks({ title: 'A document', text: fresh, segments });
    },
  };
  const names = Object.keys(ways) as (keyof typeof times)[];
  for (let round = 0; round < rounds; round += 1) {
    for (const name of names) {
      const fresh = `${text.slice(0, -16)}${String(round).padStart(4)} ${name}`;
      const start = performance.now();
      await ways[name](fresh);
      // The first rounds load the network and warm the compiler.
      if (round > 1) times[name].push(performance.now() - start);
    }
  }
  const medians = {
    cutMs: median(times.cutMs),
    tokenizeMs: median(times.tokenizeMs),
    blocksMs: median(times.blocksMs),
  };
  progress(`text to blocks: ${medians.blocksMs.toFixed(0)} ms`);
  return medians;
}

/** Prose of about this many tokens. */
async function textOf(tokens: number, textService: TextService): Promise<string> {
  const sample = proseOf(2 ** 16);
  const each = sample.length / textService.tokenizer.count(sample);
  return proseOf(Math.round(tokens * each));
}
