/** `blockstitch segment FILE`: shows how a text is cut into blocks, each in its own colour. */
import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';
import type { Command } from 'commander';
import type { Config } from '../../config.js';
import { BlockstitchError } from '../../errors.js';
import { readLimits } from '../../segment/segment-limits.js';
import type { Segment, SegmentOptions } from '../../segment/segmenter.js';
import { segmentBatch } from '../segment-batch.js';
import { addSettings, numberFlag, readSettings, wholeFlag } from '../setting-options.js';
import { type Colour, openTerminal, type Terminal } from '../terminal.js';

interface SegmentFlags {
  granularity?: string;
  minTokens?: string;
  json: boolean;
  batch: boolean;
}

const COLOURS: readonly Colour[] = ['cyan', 'yellow', 'green', 'magenta'];

export function addSegment(program: Command): void {
  const command = program
    .command('segment')
    .description('show how a text is cut into blocks')
    .argument('[file]', 'UTF-8 text; standard input if absent')
    .option('--granularity <number>', '0 = finest, 1 = coarsest; instead of --target-tokens')
    .option('--min-tokens <number>', 'no block is shorter than this if the text allows')
    .option('--json', 'print offsets, tokens and boundary scores as JSON', false)
    .option('--batch', 'read JSONL {id, text, options} from standard input, write {id, boundaries, scores}', false);
  addSettings(command, [
    'model',
    'segmenter',
    'segmenterDir',
    'sentenceEncoder',
    'targetTokens',
    'maxBlockTokens',
    'maxBlocks',
  ]);
  command.action(async (file: string | undefined, flags: SegmentFlags) => {
    const config = readSettings(command);
    const terminal = openTerminal({ colours: !flags.json && !flags.batch });
    const { createSegmentation } = await import('../../documents/segmentation.js');
    const { createTextService } = await import('../../text/text-service.js');
    const textService = await createTextService({ checkpointDir: config.model });
    try {
      const options: SegmentOptions = {
        ...(flags.granularity === undefined
          ? {}
          : { granularity: numberFlag('--granularity', flags.granularity, 0, 1) }),
        ...(flags.minTokens === undefined ? {} : { minTokens: wholeFlag('--min-tokens', flags.minTokens, 1) }),
      };
      refuseContradictions(options, command, config);
      const segment = createSegmentation(textService, config, (line) => terminal.note(line));
      if (flags.batch) {
        await segmentBatch(segment, options, process.stdin, process.stdout);
        return;
      }
      const value = file === undefined ? await readAll(process.stdin) : await readText(file);
      const segments = await segment(value, options);
      if (flags.json) terminal.print(JSON.stringify(segments.map(withoutIds), null, 2));
      else show(value, segments, terminal);
    } finally {
      await textService.close();
    }
  });
}

/** Settings that were typed are given, as fields of a request are. Those of the environment are defaults: a flag replaces them. */
function refuseContradictions(options: SegmentOptions, command: Command, config: Config): void {
  const isTyped = (flag: string) => command.getOptionValueSource(flag) === 'cli';
  readLimits({
    ...options,
    ...(isTyped('targetTokens') ? { targetTokens: config.targetTokens } : {}),
    ...(isTyped('maxBlockTokens') ? { maxTokens: config.maxBlockTokens } : {}),
  });
}

function withoutIds({ tokenIds: _, ...segment }: Segment): Omit<Segment, 'tokenIds'> {
  return segment;
}

function show(value: string, segments: readonly Segment[], terminal: Terminal): void {
  for (const [index, { start, end, tokens, boundaryScore }] of segments.entries()) {
    const colour = COLOURS[index % COLOURS.length] ?? 'cyan';
    terminal.print(
      terminal.colour('dim', `--- block ${index + 1}: ${tokens} tokens, boundary ${boundaryScore.toFixed(2)}`),
    );
    terminal.print(terminal.colour(colour, value.slice(start, end).replace(/\n$/, '')));
  }
  const total = segments.reduce((sum, { tokens }) => sum + tokens, 0);
  terminal.print(terminal.colour('bold', `${segments.length} blocks, ${total} tokens`));
}

async function readText(file: string): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file));
  } catch (cause) {
    const reason = `${file}: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new BlockstitchError('invalid_request', { reason }, { cause });
  }
}
