/** `blockstitch pull` against a stand-in hub: what it fetches, how it goes on, what it refuses. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PACKAGE_DIR } from '../../../src/config.js';
import { runCli } from '../../support/cli-process.js';
import { type HubServer, startHub } from '../../support/hub-server.js';

const REPOSITORY = 'someone/tiny-model';
const WEIGHTS = 'model.safetensors';
const root = mkdtempSync(join(tmpdir(), 'blockstitch-pull-'));
const source = join(root, 'hub');
const target = join(root, 'pulled');
let hub: HubServer;

const pull = (...argv: string[]) =>
  runCli(['pull', REPOSITORY, target, '--json', ...argv], root, { env: { HF_ENDPOINT: hub.url } });

beforeAll(() => {
  const checkpoint = join(PACKAGE_DIR, 'test', 'fixtures', 'checkpoints', 'qwen3-norm');
  const tokenizer = join(PACKAGE_DIR, 'test', 'fixtures', 'tokenizers', 'qwen2', 'tokenizer.json');
  mkdirSync(source);
  for (const name of ['config.json', 'generation_config.json', WEIGHTS]) {
    writeFileSync(join(source, name), readFileSync(join(checkpoint, name)));
  }
  writeFileSync(join(source, 'tokenizer.json'), readFileSync(tokenizer));
  writeFileSync(join(source, 'README.md'), 'not wanted');
  writeFileSync(join(source, 'pytorch_model.bin'), Buffer.alloc(50_000));
});
beforeEach(async () => {
  hub = await startHub(REPOSITORY, source);
});
afterEach(async () => {
  await hub.close();
  rmSync(target, { recursive: true, force: true });
});
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

describe('blockstitch pull', () => {
  test('fetches the files of a checkpoint, nothing else, byte for byte', async () => {
    const { code, stdout, stderr } = await pull();
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const wanted = ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json'];
    expect(readdirSync(target).sort()).toEqual(wanted);
    for (const name of wanted) expect(readFileSync(join(target, name))).toEqual(readFileSync(join(source, name)));
    const bytes = wanted.reduce((sum, name) => sum + statSync(join(source, name)).size, 0);
    expect(JSON.parse(stdout)).toMatchObject({ directory: target, fetchedBytes: bytes });
  });

  test('fetches nothing again that is there', async () => {
    await pull();
    hub.served.length = 0;
    const { code, stdout } = await pull();
    expect([code, JSON.parse(stdout).fetchedBytes, hub.served]).toEqual([0, 0, []]);
  });

  test('fetches a file again if its size is right but its content is that of another revision', async () => {
    await pull();
    const weights = readFileSync(join(source, WEIGHTS));
    writeFileSync(join(target, WEIGHTS), Buffer.alloc(weights.length, 7));
    hub.served.length = 0;
    const { code } = await pull();
    expect([code, hub.served.map(({ path }) => path)]).toEqual([0, [WEIGHTS]]);
    expect(readFileSync(join(target, WEIGHTS))).toEqual(weights);
  });

  test('takes no path of the listing that leads out of the directory', async () => {
    hub.alsoListed = [
      'model/../../out.safetensors',
      '../model.safetensors',
      'model\\..\\out.safetensors',
      '/etc/model.safetensors',
    ];
    hub.served.length = 0;
    const { code, stdout } = await pull();
    const { files } = JSON.parse(stdout) as { files: string[] };
    expect([code, files.filter((file) => /[/\\]/.test(file))]).toEqual([0, []]);
    expect(hub.served.map(({ path }) => path).filter((path) => /[/\\]/.test(path))).toEqual([]);
    hub.alsoListed = [];
  });

  test('goes on where the connection was cut, again and again', async () => {
    hub.faults.set(WEIGHTS, { cutAfterBytes: 20_000, cuts: 2 });
    const { code } = await pull();
    expect(code).toBe(0);
    expect(readFileSync(join(target, WEIGHTS))).toEqual(readFileSync(join(source, WEIGHTS)));
    const starts = hub.served
      .filter(({ path }) => path === WEIGHTS)
      .map(({ range }) => Number(/bytes=(\d+)/.exec(range ?? 'bytes=0')?.[1]));
    expect(starts).toHaveLength(3);
    expect(starts[0]).toBe(0);
    // What had arrived was not asked for again.
    expect(starts[1]).toBeGreaterThan(0);
    expect(starts[2]).toBeGreaterThan(starts[1] as number);
  });

  test('goes on in another run if the hub stayed away', async () => {
    hub.faults.set(WEIGHTS, { cutAfterBytes: 5000, cuts: 5 });
    const first = await pull();
    expect(first.code).toBe(1);
    expect(first.stderr).toMatch(/The download of someone\/tiny-model failed/);
    expect(first.stderr).toMatch(/Run the same command again/);
    const had = statSync(join(target, `${WEIGHTS}.part`)).size;
    expect(had).toBeGreaterThan(0);
    const second = await pull();
    expect([second.code, JSON.parse(second.stdout).fetchedBytes]).toEqual([
      0,
      statSync(join(source, WEIGHTS)).size - had,
    ]);
    expect(readFileSync(join(target, WEIGHTS))).toEqual(readFileSync(join(source, WEIGHTS)));
  });

  test.each([
    ['weights whose hash is another', WEIGHTS, { wrongHash: true }, /model\.safetensors arrived damaged: its SHA-256/],
    ['weights that were damaged on the way', WEIGHTS, { damaged: true }, /arrived damaged: its SHA-256/],
    ['a small file that was damaged', 'config.json', { damaged: true }, /config\.json arrived damaged: its git hash/],
  ])('refuses %s and leaves no such file', async (_, name, fault, words) => {
    hub.faults.set(name, fault);
    const { code, stderr } = await pull();
    expect(code).toBe(1);
    expect(stderr).toMatch(words);
    expect(existsSync(join(target, name))).toBe(false);
    expect(existsSync(join(target, `${name}.part`))).toBe(false);
  });

  test('says what is wrong with a repository that is gated, missing or not a checkpoint', async () => {
    hub.token = 'hf_secret';
    expect((await pull()).stderr).toMatch(/private, gated or does not exist \(HTTP 401\); set HF_TOKEN/);
    const withToken = await runCli(['pull', REPOSITORY, target], root, {
      env: { HF_ENDPOINT: hub.url, HF_TOKEN: 'hf_secret' },
    });
    expect(withToken.code).toBe(0);
    hub.token = undefined;
    const missing = await runCli(['pull', 'someone/else', target], root, { env: { HF_ENDPOINT: hub.url } });
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringMatching(/does not exist on this hub/)]);
    const bare = await startHub(REPOSITORY, join(PACKAGE_DIR, 'docs'));
    const none = await runCli(['pull', REPOSITORY, target], root, { env: { HF_ENDPOINT: bare.url } });
    expect([none.code, none.stderr]).toEqual([1, expect.stringMatching(/has no file like config\.json/)]);
    await bare.close();
  });

  test('says that no hub answers', async () => {
    const { code, stderr } = await runCli(['pull', REPOSITORY, target], root, {
      env: { HF_ENDPOINT: 'http://127.0.0.1:9' },
    });
    expect([code, stderr]).toEqual([1, expect.stringMatching(/download of someone\/tiny-model failed: fetch failed/)]);
  });

  test.each(['tiny-model', '../etc', 'a/b/c', 'a b/c'])('refuses %s as a repository: exit code 2', async (name) => {
    const { code, stderr } = await runCli(['pull', name], root);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/is not owner\/name/)]);
  });
});
