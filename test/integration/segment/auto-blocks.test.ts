/**
 * Applications that put retrieved passages into one message: a passage that was seen once is a hit wherever it stands next
 * time, whatever template the application has. Over the demo model, really served.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_DIR } from '../../../src/config.js';
import { type DemoServer, startDemoServer } from '../../support/demo-server.js';

interface Block {
  hash: string;
  tokens: number;
  origin: string;
  kind: string;
  message?: { index: number; start: number; end: number };
}
interface Answer {
  choices: { message: { content: string } }[];
  usage: { prompt_tokens: number };
  blockstitch: { blocks: Block[]; auto_blocks?: { message: number; passages: number; by: string; moved: number }[] };
}

const SAMPLES = join(PACKAGE_DIR, 'models', 'smollm2', 'samples');
/** Sections of the sample manuals, without their headings. */
const PASSAGES = readdirSync(SAMPLES)
  .filter((name) => name.endsWith('.md'))
  .flatMap((name) => readFileSync(join(SAMPLES, name), 'utf8').split(/\n\s*\n/))
  .map((section) => section.replace(/^#.*\n/, '').trim())
  .filter((section) => section.length > 250);

type Template = (passages: readonly string[], question: string) => string;
const TEMPLATES: Record<string, Template> = {
  'empty lines': (passages, question) =>
    `Read what was found and answer what is asked at the end.\n\n${passages.join('\n\n')}\n\nQuestion: ${question}\nAnswer:`,
  rules: (passages, question) =>
    `What was found stands below.\n----------\n${passages.join('\n\n')}\n----------\nUse nothing else.\nQuery: ${question}`,
  'numbered sources': (passages, question) =>
    `Sources:\n\n${passages.map((text, at) => `[${at + 1}] ${text}`).join('\n\n')}\n\n${question} Name your sources.`,
  'numbered documents': (passages, question) =>
    `${passages.map((text, at) => `Document ${at + 1}: ${text}`).join('\n')}\n\nNow tell me: ${question}`,
  tags: (passages, question) =>
    `${passages.map((text, at) => `<doc id="${at + 1}">\n${text}\n</doc>`).join('\n')}\n\n${question}`,
};

/** Draws six passages in an order of their own; the same in every run. */
function drawing(): () => string[] {
  let state = 7;
  const below = (limit: number) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % limit;
  };
  return () => {
    const rest = [...PASSAGES];
    return Array.from({ length: 6 }, () => rest.splice(below(rest.length), 1)[0] as string);
  };
}

let server: DemoServer;
beforeAll(async () => {
  server = await startDemoServer({ maxTokens: 8, maxPromptBytes: '1MiB' });
});
afterAll(() => server.close());

async function ask(messages: object[], fields: object = { auto_blocks: true }): Promise<Answer> {
  const body = { messages, max_tokens: 1, temperature: 0, ...fields };
  const { status, json } = await server.post<Answer>('/v1/chat/completions', body);
  expect([status, json]).toMatchObject([200, {}]);
  return json;
}

const user = (content: string) => ({ role: 'user', content });

describe.each(Object.entries(TEMPLATES))('passages joined by %s', (_, template) => {
  test('are hits in every order', async () => {
    const draw = drawing();
    const seen = new Set<string>();
    let [known, hit] = [0, 0];
    for (let request = 0; request < 24; request += 1) {
      const passages = draw();
      const content = template(passages, 'How long does the battery last?');
      const { blocks } = (await ask([user(content)])).blockstitch;
      for (const passage of passages) {
        const at = content.indexOf(passage);
        for (const { message, origin } of blocks) {
          if (message === undefined || !seen.has(passage)) continue;
          const covered = Math.min(message.end, at + passage.length) - Math.max(message.start, at);
          if (covered > 0 && origin !== 'computed') hit += covered;
        }
        if (seen.has(passage)) known += passage.length;
        seen.add(passage);
      }
    }
    expect(known).toBeGreaterThan(20_000);
    expect(hit / known).toBeGreaterThan(0.9);
  });
});

describe('a cut message', () => {
  const [first, second, third] = PASSAGES as [string, string, string];
  const sources = TEMPLATES['numbered sources'] as Template;

  test('has the same block for a passage whatever its number, and the question in the final block', async () => {
    const one = sources([first, second, third, PASSAGES[3] as string], 'Why?');
    const other = sources([PASSAGES[3] as string, third, first, second], 'When?');
    const hashes = async (content: string) => {
      const { blocks, auto_blocks: cut } = (await ask([user(content)])).blockstitch;
      expect(cut).toEqual([{ message: 0, passages: 4, by: 'seams', moved: 'Sources:\n\n'.length }]);
      const named = blocks.flatMap(({ hash, message }) =>
        message ? [[content.slice(message.start, message.end), hash] as const] : [],
      );
      expect(named.map(([text]) => text).join(' ')).not.toMatch(/Why|When|Sources|\[/);
      return new Map(named);
    };
    const [before, after] = [await hashes(one), await hashes(other)];
    for (const text of [first, second, third]) expect(after.get(text)).toBe(before.get(text));
  });

  test('shows all of its text once: passages in order, then the instruction and the question', async () => {
    const content = sources(PASSAGES.slice(0, 6), 'Why?');
    const chat = { documents: [], attention: 'block' as const };
    const { blockstitch } = await ask([user(content)]);
    const moved = blockstitch.auto_blocks?.[0]?.moved ?? 0;
    const passages = blockstitch.blocks.flatMap(({ message }) => {
      if (message === undefined) return [];
      const { start, end } = message;
      const segments = [{ start: 0, end: end - start }];
      return [{ message: 0, start, end, segments, retrieved: { instruction: moved } }];
    });
    const cut = await server.services.prompts.chat({ messages: [user(content)] as never, ...chat, passages });
    const text = server.services.text.detokenizer();
    const ids = [...cut.blocks.flatMap(({ tokenIds }) => [...tokenIds]), ...cut.finalTokenIds];
    const shown = ids.map((id) => text.push(id)).join('') + text.flush();
    const numbered = PASSAGES.slice(0, 6).map((passage, at) => `[${at + 1}] ${passage}\n\n`);
    expect(shown).toContain(`${numbered.join('')}Sources:\n\nWhy? Name your sources.`);
    expect(cut.blocks.length).toBeGreaterThan(6);
  });

  test('is one only if it is long, if block attention is on and if somebody asks for it', async () => {
    const content = sources(PASSAGES.slice(0, 6), 'Why?');
    const cutOf = async (messages: object[], fields: object) => (await ask(messages, fields)).blockstitch.auto_blocks;
    expect(await cutOf([user(content)], { auto_blocks: true })).toHaveLength(1);
    expect(await cutOf([user(content)], {})).toHaveLength(1); // the demo model was trained for blocks
    expect(await cutOf([user(content)], { auto_blocks: false })).toBeUndefined();
    expect(await cutOf([user(content)], { auto_blocks: true, attention: 'full' })).toBeUndefined();
    expect(await cutOf([user(`[1] ${first}\n\nWhy?`)], { auto_blocks: true })).toBeUndefined();
    expect(await cutOf([user('Hi'), { role: 'assistant', content }, user('Why?')], {})).toBeUndefined();
  });

  test('may be the system message, an earlier one or a tool result; documents may stand beside it', async () => {
    const context = `Answer from these.\n\n${PASSAGES.slice(0, 6).join('\n\n')}`;
    const { blockstitch } = await ask([{ role: 'system', content: context }, user('How long does it last?')], {
      auto_blocks: true,
      documents: ['A document of its own.'],
    });
    expect(blockstitch.auto_blocks).toMatchObject([
      { message: 0, by: 'seams', moved: 'Answer from these.\n\n'.length },
    ]);
    const texts = blockstitch.blocks.flatMap(({ message }) =>
      message ? [context.slice(message.start, message.end)] : [],
    );
    expect(texts.join('\n\n')).toContain(PASSAGES[5]);
  });

  test('is a long text with a question behind it, too', async () => {
    const content = `${PASSAGES.slice(0, 8).join(' ')}\n\nWhat is this about?`;
    const { blocks, auto_blocks: cut } = (await ask([user(content)])).blockstitch;
    expect(cut).toMatchObject([{ message: 0 }]);
    const end = Math.max(...blocks.map(({ message }) => message?.end ?? 0));
    expect(content.slice(end).trim()).toBe('What is this about?');
  });

  test('may have more passages than texts may wait: it has one place in the queue', async () => {
    const many = (name: string) => Array.from({ length: 300 }, (_, at) => `[${at + 1}] ${name}${at}\n`).join('');
    const asked = ['ka', 'lo', 'mi'].map((name) => ask([user(`${many(name)}\nWhy?`)]));
    for (const { blockstitch } of await Promise.all(asked)) {
      expect(blockstitch.auto_blocks?.[0]?.passages).toBeGreaterThan(257);
    }
  });
});
