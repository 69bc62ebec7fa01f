/**
 * Ends in the middle of work: a process that closes its text threads while the trained segmenter runs in them (its
 * network loading or running, in native code) exits with 0, every time.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text as readAll } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { PACKAGE_DIR } from '../../../src/config.js';
import { directoryOf } from '../../support/tokenizer-fixtures.js';

const ROUNDS = 15;

/** Starts 20 segmentations, waits for a moment that differs from round to round, and closes. */
const PROGRAM = `
import { createTextService } from '${PACKAGE_DIR}dist/src/text/text-service.js';
import { createSegmenter } from '${PACKAGE_DIR}dist/src/segment/create-segmenter.js';

const [checkpointDir, modelDir, waitMs] = process.argv.slice(1);
const textService = await createTextService({ checkpointDir, maxThreads: 2 });
const segmenter = await createSegmenter('semantic', { textService, modelDir });
const cuts = Array.from({ length: 20 }, (_, at) =>
  segmenter.segment(\`\${at} The baker kneads the dough. A comet passes every century.\\n\`.repeat(20_000), {}));
const outcomes = Promise.allSettled(cuts);
await new Promise((resolve) => setTimeout(resolve, Number(waitMs)));
await textService.close();
const unexpected = (await outcomes).filter(({ status, reason }) => status === 'rejected' && reason.code !== 'shutting_down');
console.log(unexpected.length === 0 ? 'closed' : String(unexpected[0].reason));
`;

it('closing in the middle of native work ends the process with 0', { timeout: 300_000 }, async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    // From before the first network is loaded to well within its runs.
    const waitMs = String(20 + round * 60);
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', PROGRAM, directoryOf('qwen2'), `${PACKAGE_DIR}models/segmenter`, waitMs],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const [output, errors, [code, signal]] = await Promise.all([
      readAll(child.stdout),
      readAll(child.stderr),
      once(child, 'exit') as Promise<[number | null, string | null]>,
    ]);
    expect({ round, code, signal, output: output.trim(), errors }).toEqual({
      round,
      code: 0,
      signal: null,
      output: 'closed',
      errors: '',
    });
  }
});
