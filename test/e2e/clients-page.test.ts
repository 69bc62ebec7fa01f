/**
 * The snippets of docs/clients.md, run as they stand: only the addresses are those of this test's servers. Python ones need
 * the environment of `make frameworks`.
 */
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_DIR } from '../../src/config.js';
import { type DemoServer, startDemoServer } from '../support/demo-server.js';
import { frameworksPython } from '../support/frameworks.js';

const page = readFileSync(join(PACKAGE_DIR, 'docs', 'clients.md'), 'utf8');
const snippets = [...page.matchAll(/<!-- (run|file): (\S+) -->\n```(\w+)\n(.*?)```/gs)].map(
  ([, kind, name, language, text]) =>
    ({ kind, name, language, text }) as Record<'kind' | 'name' | 'language' | 'text', string>,
);
/** What each prints among other lines: what the demo model says to the documents, and what is certain of the rest. */
const PRINTED: Record<string, RegExp[]> = {
  'openai-python': [
    /^Zesuni is hosted by Gulati\.$/m,
    /tokens were cached/,
    /name='.*' month='(May|June)'/,
    /name='find_fair'/,
  ],
  'openai-node': [/^Zesuni is hosted by Gulati\.$/m, /month: '(May|June)'/, /name: 'find_fair'/],
  langchain: [
    /^Zesuni is hosted by Gulati\.$/m,
    /\['Zesuni is hosted by Gulati.', 'Zesuni is held in Milalo.'\]/,
    /month='(May|June)'/,
    /find_host \{'fair': '(Zesuni|Molafa)'\} (Zesuni|Molafa) is hosted by Gulati\./,
  ],
  llamaindex: [
    /^Zesuni is hosted by Gulati\.$/m,
    /^Zesuni is held in Milalo\.$/m,
    /month='(May|June)'/,
    /find_host \{'fair'/,
  ],
  haystack: [/^Zesuni is hosted by Gulati\.$/m, /"month": "(May|June)"/, /find_host (Zesuni|Molafa) is hosted/],
  'vercel-ai': [
    /^Zesuni is hosted by Gulati\.$/m,
    /cached: \d+/,
    /month: '(May|June)'/,
    /find_host (Zesuni|Molafa) is/,
  ],
  'openai-agents': [/^Zesuni is hosted by Gulati\.$/m, /month='(May|June)'/, /^called: (Zesuni|Molafa) is hosted/m],
  'pydantic-ai': [/^Zesuni is hosted by Gulati\.$/m, /^Zesuni is held in Milalo\.$/m, /month='(May|June)'/],
  litellm: [/^Zesuni is hosted by Gulati\.$/m, /"month": "(May|June)"/, /name='find_fair'/, /^too long$/m],
  'litellm-proxy': [/^Zesuni is hosted by Gulati\.$/m, /^now$/m],
};

const python = frameworksPython();
let demo: DemoServer;
let proxyPort = 0;
let directory: string;

beforeAll(async () => {
  demo = await startDemoServer();
  // Inside the package, so that Node finds its modules.
  mkdirSync(join(PACKAGE_DIR, 'build'), { recursive: true });
  directory = mkdtempSync(join(PACKAGE_DIR, 'build', 'clients-page-'));
  proxyPort = await freePort();
  for (const { kind, name, text } of snippets)
    if (kind === 'file') writeFileSync(join(directory, name), addressed(text));
});
afterEach(() => demo.idle());
afterAll(async () => {
  await demo.close();
  rmSync(directory, { recursive: true });
});

function addressed(text: string): string {
  const own = new URL(demo.url).host;
  return text.replaceAll('127.0.0.1:8080', own).replaceAll('127.0.0.1:4000', `127.0.0.1:${proxyPort}`);
}

async function run({ name, language, text }: (typeof snippets)[number]): Promise<string> {
  const file = join(directory, `snippet-${name}.${language === 'js' ? 'mjs' : 'py'}`);
  writeFileSync(file, addressed(text));
  const { stdout } = await promisify(execFile)(language === 'js' ? process.execPath : (python ?? ''), [file], {
    cwd: directory,
    env: frameworkEnvironment(),
  });
  return stdout;
}

function frameworkEnvironment(): NodeJS.ProcessEnv {
  const adapters = join(PACKAGE_DIR, 'clients', 'python-adapters', 'src');
  return { ...process.env, PYTHONPATH: adapters, PYTHONDONTWRITEBYTECODE: '1', LITELLM_LOCAL_MODEL_COST_MAP: 'True' };
}

test('every snippet of the page is known here', () => {
  const names = snippets.filter(({ kind }) => kind === 'run').map(({ name }) => name);
  expect(names.sort()).toEqual(Object.keys(PRINTED).sort());
  // None is left out by a fence without a mark.
  expect(snippets).toHaveLength([...page.matchAll(/^```\w/gm)].length);
});

describe('docs/clients.md', () => {
  for (const snippet of snippets.filter(({ kind, name }) => kind === 'run' && name !== 'litellm-proxy')) {
    test.skipIf(snippet.language === 'python' && python === undefined)(
      `${snippet.name} runs as it stands${snippet.language === 'python' ? ' (needs make frameworks)' : ''}`,
      async () => {
        const printed = await run(snippet);
        for (const words of PRINTED[snippet.name] ?? []) expect(printed).toMatch(words);
      },
    );
  }

  test.skipIf(python === undefined)('litellm-proxy runs as it stands (needs make frameworks)', async () => {
    const litellm = join(python ?? '', '..', 'litellm');
    expect(existsSync(litellm)).toBe(true);
    const argv = ['--config', 'litellm.yaml', '--port', String(proxyPort)];
    const proxy = spawn(litellm, argv, {
      cwd: directory,
      env: frameworkEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = new Promise<void>((resolve) => proxy.once('exit', () => resolve()));
    let said = '';
    const ready = new Promise<void>((resolve, reject) => {
      const read = (piece: Buffer) => {
        said += piece;
        if (/Uvicorn running|Application startup complete/.test(said)) resolve();
      };
      proxy.stdout.on('data', read);
      proxy.stderr.on('data', read);
      proxy.once('exit', () => reject(new Error(`the proxy ended:\n${said}`)));
    });
    try {
      await ready;
      const printed = await run(snippets.find(({ name }) => name === 'litellm-proxy') as (typeof snippets)[number]);
      for (const words of PRINTED['litellm-proxy'] ?? []) expect(printed).toMatch(words);
    } finally {
      proxy.kill();
      await ended;
    }
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
