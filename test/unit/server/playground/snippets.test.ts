/** What the page shows as curl and as Python asks the same again, whatever the texts contain. */
import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { curl, python } from '../../../../src/server/playground/page/snippets.js';
import type { ChatBody } from '../../../../src/server/playground/page/wire.js';

const body = (fields: Partial<ChatBody> = {}): ChatBody => ({
  model: 'demo',
  messages: [{ role: 'user', content: 'Why?' }],
  temperature: 0,
  max_tokens: 8,
  stream: true,
  stream_options: { include_usage: true },
  ...fields,
});
const asked = (fields: Partial<ChatBody> = {}, needsKey = false) => ({
  server: 'http://127.0.0.1:8080/',
  body: body(fields),
  needsKey,
});

/** Runs the shell snippet with a `curl` that prints its arguments and its input. */
function runShell(snippet: string, env: Record<string, string> = {}) {
  const { stdout, status } = spawnSync('sh', [], {
    input: `curl() { printf '%s\\n' "$@"; echo; cat; }\n${snippet}`,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', ...env },
  });
  expect(status).toBe(0);
  const at = stdout.indexOf('\n\n');
  return { argv: stdout.slice(0, at).split('\n'), input: stdout.slice(at + 2) };
}

/** Runs the Python snippet with an `openai` that prints what it is given. */
function runPython(snippet: string, env: Record<string, string> = {}) {
  const stub = [
    'import json, sys, types',
    'class Completions:',
    '    def create(self, **fields):',
    '        print(json.dumps(fields)); return []',
    'class OpenAI:',
    '    def __init__(self, **fields):',
    '        print(json.dumps(fields))',
    '        self.chat = types.SimpleNamespace(completions=Completions())',
    "sys.modules['openai'] = types.SimpleNamespace(OpenAI=OpenAI)",
    "exec(compile(sys.stdin.read(), 'snippet', 'exec'))",
  ].join('\n');
  const { stdout, stderr, status } = spawnSync('python3', ['-c', stub], {
    input: snippet,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', PYTHONIOENCODING: 'utf-8', ...env },
  });
  expect([status, stderr]).toEqual([0, '']);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const NASTY = 'a \'b\' "c" $HOME `ls` \\ \\n\nJSON\n\t# \u2028 é 日本 😀 """';

test('curl sends the very body, with no character meaning anything to the shell', () => {
  const fields = { messages: [{ role: 'user' as const, content: NASTY }], documents: [{ text: NASTY }] };
  const { argv, input } = runShell(curl(asked(fields)));
  expect(JSON.parse(input)).toEqual(body(fields));
  expect(argv).toContain('http://127.0.0.1:8080/v1/chat/completions');
  expect(argv.join()).not.toMatch(/authorization/i);
});

test('a key is read from the environment, never written down', () => {
  const env = { BLOCKSTITCH_API_KEY: 'k-1' };
  expect(runShell(curl(asked({}, true)), env).argv).toContain('authorization: Bearer k-1');
  expect(runPython(python(asked({}, true)), env)[0]).toEqual({ base_url: 'http://127.0.0.1:8080/v1', api_key: 'k-1' });
});

test("Python hands OpenAI's client the same fields, ours in extra_body", () => {
  const fields = { documents: [{ text: NASTY }], segmentation: { granularity: 0.3 }, attention: 'full' as const };
  const [client, sent] = runPython(python(asked(fields)));
  expect(client).toEqual({ base_url: 'http://127.0.0.1:8080/v1', api_key: 'none' });
  expect(sent).toEqual({ ...body(), extra_body: fields });
  expect(runPython(python(asked()))[1]).toEqual(body());
});

test('both carry any text', () => {
  const texts = fc.array(fc.string({ unit: 'binary' }), { minLength: 1, maxLength: 40 });
  const all = fc.sample(texts, 5).flat();
  const fields = { documents: all.map((text) => ({ text })) };
  expect(JSON.parse(runShell(curl(asked(fields))).input)).toEqual(body(fields));
  expect(runPython(python(asked(fields)))[1]).toEqual({ ...body(), extra_body: fields });
});
