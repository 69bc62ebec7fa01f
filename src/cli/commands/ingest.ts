/** `blockstitch ingest PATH...`: sends files, folders and NDJSON to a running server, and says what became of each. */
import type { Command } from 'commander';
import { BlockstitchError } from '../../errors.js';
import { parseBytes } from '../../units.js';
import { serverUrl } from '../api-client.js';
import type { SourceResult } from '../ingest-run.js';
import { readSettings, wholeFlag } from '../setting-options.js';
import { limitNotes, openTerminal, type Terminal } from '../terminal.js';

interface IngestFlags {
  url: string;
  apiKey?: string;
  salt?: string;
  parallel: string;
  force: boolean;
  maxFile: string;
  json: boolean;
}

interface Counts {
  ingested: number;
  skipped: number;
  failed: number;
  tokens: number;
  computed: number;
}

const MOST_PARALLEL = 64;

export function addIngest(program: Command): void {
  const command = program
    .command('ingest')
    .description('send files, folders and NDJSON to a running server; what it has already is skipped')
    .argument(
      '<paths...>',
      'text, Markdown, HTML and code; folders with those; .ndjson and .jsonl; - for NDJSON from standard input',
    )
    .option('--url <url>', 'the server', 'http://127.0.0.1:8080')
    .option(
      '--api-key <key>',
      'API key; the first of BLOCKSTITCH_API_KEYS if absent, which other users of the machine cannot see',
    )
    .option('--salt <text>', 'ingest under this cache salt; it is sent in the body')
    .option('--parallel <number>', 'documents on their way at the same time', '4')
    .option('--force', 'send what the server has already, too', false)
    .option('--max-file <size>', 'largest file or row that is read; the server has a limit of its own', '64MiB')
    .option('--json', 'print a JSON object per document, then one with the counts', false)
    .addHelpText(
      'after',
      '\nA document is named by its path as given, with : for /. Rows: {"id"?, "title"?, "text", "metadata"?}.' +
        '\nExit codes: 0 all are there, 1 some failed, 2 wrong usage.',
    );
  command.action(async (paths: string[], flags: IngestFlags) => {
    const terminal = openTerminal({ colours: !flags.json });
    const url = serverUrl(flags.url);
    const parallel = wholeFlag('--parallel', flags.parallel, 1, MOST_PARALLEL);
    const maxFileBytes = parseBytes(flags.maxFile);
    if (maxFileBytes === undefined) {
      const reason = `${JSON.stringify(flags.maxFile)} is not a size such as 64MiB`;
      throw new BlockstitchError('config_invalid', { setting: '--max-file', reason });
    }
    const apiKey = flags.apiKey ?? readSettings(command).apiKeys[0];
    const { findFiles } = await import('../ingest-files.js');
    const { runIngest } = await import('../ingest-run.js');
    const { files, passedOver } = await findFiles(paths);
    for (const line of passedOver) terminal.note(line);
    const totalBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
    const counts: Counts = { ingested: 0, skipped: 0, failed: 0, tokens: 0, computed: 0 };
    const bar = terminal.progress('ingesting');
    let doneBytes = 0;
    bar.update(0, totalBytes);
    try {
      await runIngest(files, {
        ...{
          url,
          apiKey,
          parallel,
          cacheSalt: flags.salt,
          force: flags.force,
          standardInput: process.stdin,
          maxFileBytes,
        },
        onLimit: limitNotes(terminal),
        onResult: (result) => {
          count(counts, result);
          if (flags.json) terminal.print(JSON.stringify(result));
          else if (result.status === 'failed') terminal.note(`${result.name}: ${result.reason}`);
        },
        onFile: ({ bytes }) => {
          doneBytes += bytes;
          bar.update(doneBytes, totalBytes);
        },
      });
    } finally {
      bar.stop();
    }
    if (flags.json) terminal.print(JSON.stringify({ status: 'summary', ...counts }));
    else summarize(counts, terminal);
    if (counts.failed > 0) process.exitCode = 1;
  });
}

function count(counts: Counts, result: SourceResult): void {
  counts[result.status] += 1;
  if (result.status !== 'ingested') return;
  counts.tokens += result.tokens;
  counts.computed += result.computed;
}

function summarize({ ingested, skipped, failed, tokens, computed }: Counts, terminal: Terminal): void {
  const parts = [
    `${ingested} ingested (${tokens} tokens, ${computed} of them prefilled)`,
    `${skipped} there already`,
    failed === 0 ? '0 failed' : terminal.colour('red', `${failed} failed`),
  ];
  terminal.print(parts.join(', '));
}
