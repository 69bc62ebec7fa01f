/** `blockstitch ask QUESTION FILES...`: one question over documents, in process or against a running server. */
import { readFile } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { type Command, Option } from 'commander';
import type { Config } from '../../config.js';
import { DEFAULT_REPAIR_CHOICE, REPAIR_CHOICES, type RepairChoice } from '../../engine/engine.js';
import { BlockstitchError } from '../../errors.js';
import { blockLines, summaryLine } from '../answer-report.js';
import { askServer, type ChatQuestion, serverUrl } from '../api-client.js';
import { addSettings, MODEL_SETTINGS, numberFlag, readSettings, wholeFlag } from '../setting-options.js';
import { openTerminal, type Terminal } from '../terminal.js';

interface AskFlags {
  url?: string;
  system?: string;
  newTokens: string;
  temperature: string;
  salt?: string;
  repair?: string;
  repairBy: RepairChoice;
  json: boolean;
}

export function addAsk(program: Command): void {
  const command = program
    .command('ask')
    .description('ask a question over documents; prints the answer, its blocks (hit or miss) and the TTFT')
    .argument('<question>', 'the question')
    .argument('[files...]', 'documents, UTF-8 text')
    .option('--url <url>', 'ask a running server instead of starting one in this process')
    .option('--system <text>', 'system message')
    .option('--new-tokens <number>', 'tokens to generate at most', '256')
    .option('--temperature <number>', '0 = greedy', '0')
    .option('--salt <text>', 'answer under this cache salt; it is sent in the body')
    .option('--repair <share>', 'share of the cached tokens to compute again in context, 0 to 1; needs block attention')
    .addOption(
      new Option('--repair-by <choice>', 'which tokens to repair')
        .choices(REPAIR_CHOICES)
        .default(DEFAULT_REPAIR_CHOICE),
    )
    .option('--json', 'print answer, blocks and timings as JSON', false)
    .addHelpText('after', '\nAn API key for --url is taken from BLOCKSTITCH_API_KEYS (the first).');
  addSettings(command, [...MODEL_SETTINGS, 'storeDir', 'redisUrl']);
  command.action(async (question: string, files: string[], flags: AskFlags) => {
    const terminal = openTerminal({ colours: !flags.json });
    const config = readSettings(command, { host: '127.0.0.1', port: 0, apiKeysFile: '' });
    const chat: ChatQuestion = {
      question,
      documents: await Promise.all(files.map(readDocument)),
      maxTokens: wholeFlag('--new-tokens', flags.newTokens, 1),
      temperature: numberFlag('--temperature', flags.temperature, 0),
      ...(flags.system === undefined ? {} : { system: flags.system }),
      ...(flags.salt === undefined ? {} : { cacheSalt: flags.salt }),
      ...attentionOf(flags, config.attention),
    };
    if (flags.url !== undefined) {
      await answer(terminal, serverUrl(flags.url), chat, flags.json, config.apiKeys[0]);
      return;
    }
    const { startServer } = await import('../../server/start-server.js');
    const bar = terminal.progress('loading');
    const server = await startServer(
      { ...config, apiKeys: [], keyFile: '', requestsPerMinute: 0 },
      { onProgress: ({ done, total }) => bar.update(done, total) },
    );
    try {
      await server.ready;
      bar.stop();
      await answer(terminal, server.url, chat, flags.json);
    } finally {
      bar.stop();
      await server.close();
    }
  });
}

async function answer(
  terminal: Terminal,
  url: string,
  chat: ChatQuestion,
  json: boolean,
  apiKey?: string,
): Promise<void> {
  const result = await askServer(url, chat, { apiKey, onText: json ? () => {} : terminal.write });
  if (json) {
    const { text, ttftMs, totalMs, report, usage } = result;
    terminal.print(JSON.stringify({ answer: text, ttftMs, totalMs, usage, ...report }, null, 2));
    return;
  }
  terminal.print();
  terminal.print();
  if (result.report.blocks.length > 0) terminal.print(blockLines(result, terminal));
  terminal.print(terminal.colour('bold', summaryLine(result)));
}

/** The repair if one is asked for, else the mode of --attention. `auto` of either leaves it to the server. */
function attentionOf(flags: AskFlags, mode: Config['attention']): Pick<ChatQuestion, 'attention'> {
  if (flags.repair === undefined || flags.repair === 'auto') return mode === 'auto' ? {} : { attention: mode };
  const share = numberFlag('--repair', flags.repair, 0, 1);
  return { attention: { mode: 'block', repair: { share, by: flags.repairBy } } };
}

async function readDocument(file: string): Promise<{ title: string; text: string }> {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file));
    return { title: basename(file, extname(file)), text };
  } catch (cause) {
    const reason = `${file}: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new BlockstitchError('invalid_request', { reason }, { cause });
  }
}
