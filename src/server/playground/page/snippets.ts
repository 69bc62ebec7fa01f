/** A request as code that asks the same: for the shell, and for Python with OpenAI's client. The API key is never in it. */
import type { ChatBody } from './wire.js';

const KEY_VARIABLE = 'BLOCKSTITCH_API_KEY';

export interface Asked {
  /** The server, with a slash at the end. */
  server: string;
  body: ChatBody;
  /** Whether the server asks for a key: it is then read from the environment. */
  needsKey: boolean;
}

/** The body goes in through a quoted here-document, so that no character of it means anything to the shell. */
export function curl({ server, body, needsKey }: Asked): string {
  return [
    `curl -N ${server}v1/chat/completions \\`,
    "  -H 'content-type: application/json' \\",
    ...(needsKey ? [`  -H "authorization: Bearer $${KEY_VARIABLE}" \\`] : []),
    "  --data-binary @- <<'JSON'",
    JSON.stringify(body, null, 2),
    'JSON',
    '',
  ].join('\n');
}

export function python({ server, body, needsKey }: Asked): string {
  const { documents, segmentation, attention, cache_salt, stream, stream_options, ...plain } = body;
  const extra = without({ documents, segmentation, attention, cache_salt });
  const fields = {
    ...plain,
    stream,
    stream_options,
    ...(Object.keys(extra).length === 0 ? {} : { extra_body: extra }),
  };
  const key = needsKey ? `os.environ["${KEY_VARIABLE}"]` : '"none"';
  return [
    ...(needsKey ? ['import os', ''] : []),
    'from openai import OpenAI',
    '',
    `client = OpenAI(base_url=${literal(`${server}v1`)}, api_key=${key})`,
    'stream = client.chat.completions.create(',
    ...Object.entries(fields).map(([name, value]) => `    ${name}=${literal(value, 1)},`),
    ')',
    'for chunk in stream:',
    '    if chunk.choices:',
    '        print(chunk.choices[0].delta.content or "", end="", flush=True)',
    '    if chunk.usage:',
    '        cached = chunk.usage.prompt_tokens_details.cached_tokens',
    '        print(f"\\n{cached} of {chunk.usage.prompt_tokens} prompt tokens were cached")',
    '',
  ].join('\n');
}

function without(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** A JSON value as Python writes it. Strings are the same in both. */
function literal(value: unknown, depth = 0): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value !== 'object') return JSON.stringify(value);
  const inner = '    '.repeat(depth + 1);
  const rows = Array.isArray(value)
    ? value.map((each) => literal(each, depth + 1))
    : Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${literal(each, depth + 1)}`);
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  if (rows.length === 0) return open + close;
  return `${open}\n${rows.map((row) => `${inner}${row},\n`).join('')}${'    '.repeat(depth)}${close}`;
}
