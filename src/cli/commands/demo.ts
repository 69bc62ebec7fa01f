/**
 * `blockstitch demo`: puts the sample documents into a fresh store and asks one question over them: cold, cached, and
 * cached in another order. Fails if the other order misses a block, or if its answer differs from that of cold blocks.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { formatMilliseconds } from '../../units.js';
import { documentHits } from '../answer-report.js';
import { askServer, type ChatResult, flushCache } from '../api-client.js';
import { addSettings, MODEL_SETTINGS, readSettings } from '../setting-options.js';
import { openTerminal, table } from '../terminal.js';

interface SampleQuestion {
  question: string;
  answer: string;
  documents: string[];
}

interface Sample {
  question: string;
  /** What the documents say. */
  answer: string;
  documents: { text: string }[];
}

const NEW_TOKENS = 24;

export function addDemo(program: Command): void {
  const command = program
    .command('demo')
    .description('ask one question over the sample documents: cold, cached, cached in another order');
  addSettings(command, MODEL_SETTINGS);
  command.action(async () => {
    const terminal = openTerminal();
    const directory = await mkdtemp(join(tmpdir(), 'blockstitch-demo-'));
    const config = readSettings(command, { host: '127.0.0.1', port: 0, apiKeysFile: '', storeDir: directory });
    const { startServer } = await import('../../server/start-server.js');
    const server = await startServer({ ...config, apiKeys: [], requestsPerMinute: 0, redisUrl: '' });
    try {
      await server.ready;
      const sample = await readSample(join(config.model, 'samples'));
      terminal.print(`${sample.documents.length} documents, served at ${server.url}`);
      terminal.print(`${terminal.colour('bold', 'Q')} ${sample.question}   (the documents say: ${sample.answer})\n`);
      const forth = sample.documents;
      const back = [...forth].reverse();
      const ask = (documents: Sample['documents']) =>
        askServer(server.url, { question: sample.question, documents, maxTokens: NEW_TOKENS, temperature: 0 });
      // One question without documents: the first step of a process pays for everything that is set up once.
      await askServer(server.url, { question: sample.question, documents: [], maxTokens: 1, temperature: 0 });
      const cold = await ask(forth);
      const cached = await ask(forth);
      const reordered = await ask(back);
      await flushCache(server.url);
      const coldReordered = await ask(back);
      const row = (name: string, result: ChatResult) => {
        const { hits, blocks } = documentHits(result);
        const speed = cold.ttftMs / result.ttftMs;
        const text = JSON.stringify(result.text.trim());
        return [name, `${hits} of ${blocks}`, formatMilliseconds(result.ttftMs), `${speed.toFixed(1)}x`, text];
      };
      terminal.print(
        table([
          ['documents', 'blocks hit', 'TTFT', 'speed', 'answer'],
          row('cold', cold),
          row('cached', cached),
          row('cached, another order', reordered),
          row('cold, that other order', coldReordered),
        ]),
      );
      const { hits, blocks } = documentHits(reordered);
      if (hits !== blocks) throw new Error(`the other order hit ${hits} of ${blocks} blocks`);
      if (reordered.text !== coldReordered.text) throw new Error('cached and cold blocks gave different answers');
      terminal.print(terminal.colour('green', '\nEvery block was reused, in any order, and the answer is the same.'));
    } finally {
      await server.close();
      await rm(directory, { recursive: true, force: true });
    }
  });
}

async function readSample(directory: string): Promise<Sample> {
  const rows = JSON.parse(await readFile(join(directory, 'questions.json'), 'utf8')) as SampleQuestion[];
  const first = rows[0];
  if (first === undefined) throw new Error(`${directory}/questions.json holds no question`);
  const documents = first.documents.map(async (name) => {
    return { text: await readFile(join(directory, name), 'utf8') };
  });
  return { question: first.question, answer: first.answer, documents: await Promise.all(documents) };
}
