/** What every command says of a file, a model, an option or a server that is wrong: one line, a remedy, and no word of requests. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../../support/cli-process.js';

const home = mkdtempSync(join(tmpdir(), 'blockstitch-errors-'));
/** Some other server. */
let other: Server;
/** An address where nobody listens, and one of the other server. */
const urls = { NOBODY: '', OTHER: '' };

beforeAll(async () => {
  writeFileSync(join(home, 'ok.txt'), 'Zokego is held in Limoga.');
  writeFileSync(join(home, 'bytes.txt'), Buffer.from([0x61, 0xff, 0xfe]));
  writeFileSync(join(home, 'bad.json'), '{');
  writeFileSync(join(home, 'rows.jsonl'), '{"id": 1}\n');
  mkdirSync(join(home, 'folder'));
  other = createServer((_request, response) => void response.writeHead(404).end('<html>none</html>'));
  const gone = createServer();
  for (const server of [other, gone]) await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done));
  const at = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  urls.OTHER = at(other);
  urls.NOBODY = at(gone);
  await new Promise((done) => void gone.close(done));
});
afterAll(async () => {
  await new Promise((done) => void other.close(done));
  rmSync(home, { recursive: true, force: true });
});

const NO_FILE = /no such file or directory/;
const OF_REQUESTS =
  /\bparam\b|HTTP|\b(?:GET|POST|DELETE) |Retry-After|content-type|\/v1|\/ready|request body|TypeError/;

test.each([
  ['ask Why? none.txt', 1, NO_FILE],
  ['ask Why? bytes.txt', 1, /bytes\.txt: .*utf-8/],
  ['ask Why? --url NOBODY', 1, /No server answers at http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/],
  ['ask Why? --url OTHER', 1, /http:\/\/127\.0\.0\.1:\d+ does not answer as Blockstitch does \(404 Not Found\)/],
  ['ask Why? --url nonsense', 2, /--url is invalid: it is not an http or https address/],
  ['ask Why? --model ./nowhere', 1, /nowhere cannot be used: there is no such directory/],
  ['ask Why? --model nowhere', 2, /nowhere is no directory or file here, nor a name that is known \(smollm2\)/],
  ['ask Why? --temperature hot', 2, /--temperature is invalid/],
  ['segment none.txt', 1, NO_FILE],
  ['segment folder', 1, /folder: illegal operation on a directory/],
  ['segment ok.txt --granularity 7', 2, /--granularity is invalid/],
  [
    'segment ok.txt --granularity 0.1 --target-tokens 400',
    2,
    /--granularity and --target-tokens cannot be given together/,
  ],
  ['segment --batch --granularity 0.1 --target-tokens 400', 2, /--granularity and --target-tokens cannot be given/],
  ['segment ok.txt --target-tokens 100 --min-tokens 300', 2, /--min-tokens 300 is above the target of 100/],
  ['segment ok.txt --model ./nowhere', 1, /nowhere\/tokenizer\.json cannot be used/],
  ['ingest none.txt', 2, /none\.txt: no such file or directory/],
  ['ingest /dev/null', 2, /\/dev\/null: it is a device/],
  ['ingest ok.txt --url NOBODY', 1, /No server answers/],
  ['ingest ok.txt --url OTHER', 1, /does not answer as Blockstitch does/],
  ['ingest ok.txt --max-file x', 2, /--max-file is invalid/],
  ['eval --data none.jsonl', 2, NO_FILE],
  ['eval --data bad.json', 2, /bad\.json line 1 is not JSON/],
  ['eval --data rows.jsonl', 2, /rows\.jsonl line 1: question/],
  ['import ./nowhere', 1, /nowhere cannot be used/],
  ['import folder', 1, /it has no config\.json/],
  ['pull a/b/c', 2, /a\/b\/c is not owner\/name/],
  ['serve --key-file none.json', 2, /--key-file is invalid: no such file or directory: none\.json/],
  ['serve --port x', 2, /--port is invalid/],
  ['serve --model ./nowhere --port 0', 1, /nowhere cannot be used/],
  ['keys list', 2, /--key-file is invalid: name the file/],
  ['keys list --key-file bad.json', 2, /bad\.json is not JSON/],
  ['keys list --key-file none.json', 2, /--key-file is invalid: no such file or directory: none\.json/],
  ['keys add a --key-file none/keys.json', 2, /no such file or directory: none\/keys\.json/],
  ['keys revoke nobody --key-file none.json', 2, /no such file or directory: none\.json/],
  ['cache stats --store-dir none', 2, /there is no store in/],
  ['cache import none', 2, /none: no such file or directory/],
  ['cache import ok.txt', 1, /ok\.txt cannot be read to its end: at byte 0/],
  ['cache prune', 2, /prune: name a condition/],
  ['cache verify --store-hmac-keys none', 2, /--store-hmac-keys is invalid: no such file or directory: none/],
  ['cache stats --redis-url redis://127.0.0.1:1', 1, /Redis cannot be reached/],
])('blockstitch %s ends with %i and says why', async (line, code, words) => {
  const argv = line.split(' ').map((word) => urls[word as keyof typeof urls] ?? word);
  const outcome = await runCli(argv, home);
  expect([outcome.code, outcome.stderr]).toEqual([code, expect.stringMatching(words)]);
  expect(outcome.stderr).not.toMatch(OF_REQUESTS);
  expect(outcome.stderr).not.toMatch(/\n +at /);
  // The message, then what to do about it.
  expect(outcome.stderr).toMatch(/error: .+\n {2}\S.+\n$/);
});
