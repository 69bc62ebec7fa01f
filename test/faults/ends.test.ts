/** The end of a server in the middle of native work, with nobody left to answer: exit code 0, no signal, every time. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { endProcesses, serveProcess } from '../support/served-process.js';

const home = mkdtempSync(join(tmpdir(), 'blockstitch-ends-'));
const JOBS = 20;
const ROUNDS = 4;
const text = (job: number) =>
  Array.from({ length: 1500 }, (_, at) => `Zokego of year ${job * 10_000 + at} is held in Limoga.`).join(' ');

afterEach(endProcesses);
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** Sends a document and leaves without reading an answer. Resolves when the bytes are on their way. */
async function sendAndLeave(url: string, body: string): Promise<void> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  await once(socket, 'connect');
  const head = 'POST /v1/documents HTTP/1.1\r\nHost: x\r\nContent-Type: application/json';
  socket.end(`${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  await once(socket, 'finish');
}

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s while background documents are cut and their clients are gone ends with 0, every time',
  async (signal) => {
    for (let round = 0; round < ROUNDS; round++) {
      const directory = mkdtempSync(join(home, 'store-'));
      const server = await serveProcess(home, ['--store-dir', directory, '--drain', `${round * 150}ms`]);
      const bodies = Array.from({ length: JOBS }, (_, job) =>
        JSON.stringify({ id: `document-${job}`, text: text(job), background: true }),
      );
      await Promise.all(bodies.map((body) => sendAndLeave(server.url, body)));
      // From before the first cut to well within them.
      const registered = async () => {
        const { json } = await server.ask<{ data?: unknown[] }>('GET', '/v1/documents?limit=100');
        return json.data?.length ?? 0;
      };
      if (round > 1) await expect.poll(registered, { timeout: 60_000, interval: 5 }).toBeGreaterThan(round - 2);
      const { code, stderr, stdout } = await server.end(signal);
      expect({ round, code, stderr: stderr.match(/terminate called|Napi::Error|abort/) }).toEqual({
        round,
        code: 0,
        stderr: null,
      });
      expect(stdout).not.toContain('"level":50');
    }
  },
);
