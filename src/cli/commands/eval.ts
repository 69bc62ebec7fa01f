/**
 * `blockstitch eval --data FILE.jsonl`: asks questions over documents under full attention, block attention and repair,
 * and shows what block attention costs in quality and gains in time. What an operator runs on his own questions
 * before he turns block attention on.
 */
import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Config } from '../../config.js';
import { BlockstitchError } from '../../errors.js';
import { servedModel, serverUrl } from '../api-client.js';
import { askModes, MODES, type Mode } from '../evaluation/asked-modes.js';
import { type DataSummary, summarize, summaryTable } from '../evaluation/mode-summaries.js';
import { qualityPlot } from '../evaluation/quality-plot.js';
import { type QuestionFile, readQuestions } from '../evaluation/question-rows.js';
import { addSettings, MODEL_SETTINGS, numberFlag, readSettings, wholeFlag } from '../setting-options.js';
import { withTemporaryDirectory } from '../temporary-directory.js';
import { limitNotes, openTerminal, type Terminal } from '../terminal.js';

interface EvalFlags {
  data: string[];
  url?: string;
  modes: string;
  repair: string;
  limit?: string;
  orders: string;
  newTokens: string;
  system?: string;
  answers?: string;
  plot?: string;
  json: boolean;
  markdown: boolean;
}

export function addEval(program: Command): void {
  const command = program
    .command('eval')
    .description('ask your own questions under full attention, block attention and repair: quality against TTFT')
    .requiredOption(
      '--data <files...>',
      'JSONL: {question, answers: [text], documents: [text or {title?, text}]}, a row a line; id is optional',
    )
    .option('--url <url>', 'ask a running server instead of starting one in this process')
    .option('--modes <list>', 'attention modes, separated by commas', MODES.join(','))
    .option('--repair <share>', 'share of the cached tokens that mode repair computes again, 0 to 1', '0.15')
    .option('--limit <rows>', 'rows of each file, from the top; all if absent')
    .option('--orders <number>', 'orders of its documents in which each row is asked; the first is its own', '1')
    .option('--new-tokens <number>', 'tokens to generate at most', '32')
    .option('--system <text>', 'system message')
    .option('--answers <file>', 'keep every answer here as JSONL; the same command goes on from it')
    .option('--plot <file>', 'write quality against TTFT as an SVG')
    .option('--markdown', 'print the tables as Markdown', false)
    .option('--json', 'print the figures as JSON', false)
    .addHelpText('after', EXPLANATION);
  addSettings(command, [...MODEL_SETTINGS, 'maxBatchTokens']);
  command.action(async (flags: EvalFlags) => {
    const terminal = openTerminal({ colours: !flags.json });
    const modes = readModes(flags.modes);
    const limit = flags.limit === undefined ? undefined : wholeFlag('--limit', flags.limit, 1);
    const files = await Promise.all(flags.data.map((file) => readQuestions(file, limit)));
    requireOtherNames(files);
    const asked = {
      modes,
      repairShare: numberFlag('--repair', flags.repair, 0, 1),
      orders: wholeFlag('--orders', flags.orders, 1, MOST_ORDERS),
      newTokens: wholeFlag('--new-tokens', flags.newTokens, 1),
      ...(flags.system === undefined ? {} : { system: flags.system }),
      ...(flags.answers === undefined ? {} : { answersFile: flags.answers }),
    };
    const evaluate = async (url: string, own: string, apiKey?: string): Promise<void> => {
      const model = `${await servedModel(url, apiKey)}${own}`;
      const bar = terminal.progress('asking');
      let told = 0;
      const answers = await askModes(files, {
        ...asked,
        url,
        apiKey,
        model,
        flush: own !== '',
        onLimit: limitNotes(terminal),
        onProgress: (done, total) => {
          bar.update(done, total);
          if (process.stderr.isTTY === true || Math.floor((done / total) * 20) === told) return;
          told = Math.floor((done / total) * 20);
          terminal.note(`${done} of ${total} answers`);
        },
      }).finally(() => bar.stop());
      const summaries = files.map((file) => summarize(file, answers, modes));
      if (flags.plot !== undefined) await writePlot(flags.plot, qualityPlot(summaries, model));
      print(terminal, flags, { model, ...asked, data: summaries });
    };
    const config = readSettings(command, { host: '127.0.0.1', port: 0, apiKeysFile: '' });
    if (flags.url !== undefined) return evaluate(serverUrl(flags.url), '', config.apiKeys[0]);
    const own = `, ${config.weights} weights, ${config.kvDtype} KV`;
    return withServer(config, terminal, (url) => evaluate(url, own));
  });
}

const MOST_ORDERS = 100;

const EXPLANATION = `
Modes that use blocks are timed with the documents' blocks cached; "TTFT, cold" is the first request over them.
contains: answers that contain an accepted one. like full: word F1 against full attention's answer.
change: contains less that of full attention, over the same rows. Brackets: 95% bootstrap intervals over rows.
docs/choosing.md says how to read the figures. An API key for --url is taken from BLOCKSTITCH_API_KEYS (the first).`;

/** A server of our own on a fresh store, which is removed at the end. */
function withServer(config: Config, terminal: Terminal, work: (url: string) => Promise<void>): Promise<void> {
  return withTemporaryDirectory('eval', async (storeDir) => {
    const { startServer } = await import('../../server/start-server.js');
    const bar = terminal.progress('loading');
    const server = await startServer(
      { ...config, storeDir, redisUrl: '', apiKeys: [], keyFile: '', requestsPerMinute: 0 },
      { onProgress: ({ done, total }) => bar.update(done, total) },
    );
    try {
      await server.ready;
      bar.stop();
      await work(server.url);
    } finally {
      bar.stop();
      await server.close();
    }
  });
}

function readModes(list: string): Mode[] {
  const names = list.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !(MODES as readonly string[]).includes(name));
  if (unknown !== undefined) {
    const reason = `${JSON.stringify(unknown)} is not one of ${MODES.join(', ')}`;
    throw new BlockstitchError('config_invalid', { setting: '--modes', reason });
  }
  return MODES.filter((mode) => names.includes(mode));
}

/** Answers are kept by the file's name. */
function requireOtherNames(files: readonly QuestionFile[]): void {
  const twice = files.find(({ name }, at) => files.findIndex((other) => other.name === name) !== at);
  if (twice === undefined) return;
  const reason = `two files have the name ${twice.name}`;
  throw new BlockstitchError('config_invalid', { setting: '--data', reason });
}

async function writePlot(file: string, svg: string): Promise<void> {
  try {
    await writeFile(file, svg);
  } catch (cause) {
    const reason = `${file} cannot be written (${(cause as Error).message})`;
    throw new BlockstitchError('config_invalid', { setting: '--plot', reason }, { cause });
  }
}

function print(terminal: Terminal, flags: EvalFlags, result: { model: string; data: DataSummary[] }): void {
  if (flags.json) terminal.print(JSON.stringify(result, null, 2));
  else terminal.print(result.data.map((summary) => summaryTable(summary, flags.markdown)).join('\n\n'));
}
