/**
 * Real tokenizers (Qwen 3, Llama 3.1, Llama 2, DeepSeek V3, gpt-oss, Gemma 3) against Python's `tokenizers` and
 * `transformers`: ids of texts in many languages and of code, and rendered chats with system messages, tools, documents,
 * thinking on and off, and messages to continue. `make tokenizers` fetches them; what could not be fetched is named.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PromptBuilder } from '../../../src/prompt/prompt-builder.js';
import type { PromptPlan } from '../../../src/prompt/prompt-plan.js';
import { createTextService, type TextService } from '../../../src/text/text-service.js';
import { pythonWithRequirements } from '../../support/demo-server.js';
import { askPython, REAL_TOKENIZERS, realTokenizer } from '../../support/real-tokenizers.js';

const python = pythonWithRequirements() ?? '';
const fetched = REAL_TOKENIZERS.filter((name) => python !== '' && realTokenizer(name) !== undefined);
const absent = REAL_TOKENIZERS.filter((name) => !fetched.includes(name));
const languages = JSON.parse(readFileSync(join(import.meta.dirname, '../../support/languages.json'), 'utf8')) as Record<
  string,
  string
>;
const root = mkdtempSync(join(tmpdir(), 'blockstitch-real-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

for (const name of absent) test.skip(`${name} was not fetched, or there is no Python: run make tokenizers`);

/** Every text, cut off at several places, doubled, and in a row with its neighbour. */
function texts(): string[] {
  const all = Object.values(languages);
  return all.flatMap((text, index) => {
    const next = all[(index + 1) % all.length] ?? '';
    const cuts = [1, 2, 3, 5, 8, 13, 21, 34, 55].map((length) => [...text].slice(-length).join(''));
    return [
      text,
      `${text}${text}`,
      `${text}\n${next}`,
      ` ${text}`,
      `${text} ${next}`.repeat(4),
      text.toUpperCase(),
      ...cuts,
    ];
  });
}

/** One process for all of it: to import transformers takes longer than the rest. */
const PROGRAM = `
import json, sys
from tokenizers import Tokenizer
from transformers import AutoTokenizer
from transformers.utils.chat_template_utils import render_jinja_template

def rendered(tokenizer, chat):
    rest = {**chat["options"], **chat["kwargs"]}
    messages = chat["messages"]
    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, **rest)
    except Exception:
        # It drops a content that is None. Some templates fail then: they ask for None (DeepSeek), or for a text (Qwen).
        if all(message["content"] is not None for message in messages):
            raise
    rest = {"chat_template": tokenizer.chat_template, **tokenizer.special_tokens_map, **rest}
    try:
        return render_jinja_template(conversations=[messages], **rest)[0][0]
    except Exception:
        texts = [{**message, "content": message["content"] or ""} for message in messages]
        return render_jinja_template(conversations=[texts], **rest)[0][0]

def answer(asked):
    plain = Tokenizer.from_file(asked["directory"] + "/tokenizer.json")
    texts = [each.ids for each in plain.encode_batch(asked["texts"], add_special_tokens=False)]
    tokenizer = AutoTokenizer.from_pretrained(asked["directory"])
    chats = []
    for chat in asked["chats"]:
        try:
            text = rendered(tokenizer, chat)
            chats.append({"text": text, "ids": tokenizer(text, add_special_tokens=False).input_ids})
        except Exception as error:
            chats.append({"error": str(error)})
    return {"texts": texts, "chats": chats, "raw": [tokenizer(text).input_ids for text in asked["raw"]]}

print(json.dumps([answer(asked) for asked in json.load(sys.stdin)]))
`;

interface Expected {
  texts: number[][];
  chats: { text?: string; ids?: number[]; error?: string }[];
  raw: number[][];
}

const TOOLS = [
  {
    type: 'function',
    function: {
      name: 'find_order',
      description: 'Finds an order by its "number" – or ünïcödé <name>.',
      parameters: {
        type: 'object',
        properties: { number: { type: 'string' }, limit: { type: 'integer', default: 3, enum: [1, 2, 3] } },
        required: ['number'],
      },
    },
  },
  {
    type: 'function',
    function: { name: 'now', description: 'The time', parameters: { type: 'object', properties: {} } },
  },
];
const ARGUMENTS = '{"number": "A-17 é", "limit": 2, "nested": {"list": [1, 2.5, true, null]}}';
const call = (id: string) => ({ id, type: 'function', function: { name: 'find_order', arguments: ARGUMENTS } });
const system = { role: 'system', content: 'Answer in one sentence.\nBe exact. ' };
const user = { role: 'user', content: '  Where is order A-17?  ' };
const called = { role: 'assistant', content: null, tool_calls: [call('call_a'), call('call_b')] };
const results = [
  { role: 'tool', tool_call_id: 'call_a', content: '{"state": "packed"}' },
  { role: 'tool', tool_call_id: 'call_b', content: 'lost' },
];
const answer = { role: 'assistant', content: 'It is packed, but one part is lost.' };
const thought = { role: 'assistant', content: 'Packed.', reasoning_content: 'Look it up first.\nThen say so.' };
const inline = { role: 'assistant', content: '<think>\nLook it up.\n</think>\n\nPacked.' };
const again = { role: 'user', content: 'And B-2? Ça va; 大丈夫?' };

interface Chat {
  messages: { role: string; content: string | null; tool_calls?: ReturnType<typeof call>[] }[];
  tools?: typeof TOOLS;
  generation?: boolean;
  continued?: boolean;
  kwargs?: Record<string, unknown>;
}

const CHATS: Record<string, Chat> = {
  'one question': { messages: [user] },
  'a system message': { messages: [system, user] },
  'several turns': { messages: [system, user, answer, again] },
  'no header of an answer': { messages: [system, user, answer], generation: false },
  'a message to continue': { messages: [user, { role: 'assistant', content: 'It is' }], continued: true },
  'a message to continue that ends in white space': {
    messages: [user, { role: 'assistant', content: ' It is \n' }],
    continued: true,
  },
  'thinking off': { messages: [system, user], kwargs: { enable_thinking: false } },
  'thinking on': { messages: [system, user, answer, again], kwargs: { enable_thinking: true } },
  'reasoning in its own field': { messages: [user, thought, again] },
  'reasoning inside the answer': { messages: [user, inline, again] },
  'reasoning of the turn that goes on': {
    messages: [user, { ...thought, tool_calls: [call('call_a')] }, ...results.slice(0, 1)],
  },
  tools: { messages: [user], tools: TOOLS },
  'tools and a system message, thinking off': {
    messages: [system, user],
    tools: TOOLS,
    kwargs: { enable_thinking: false },
  },
  'tool calls and their results': { messages: [system, user, called, ...results, answer, again], tools: TOOLS },
  'results at the end': { messages: [user, called, ...results], tools: TOOLS },
  'one call beside an answer': {
    messages: [user, { ...answer, tool_calls: [call('call_a')] }, ...results.slice(0, 1)],
  },
};

/** Python gets what the server gives templates: arguments as objects, or as strings where the template adds strings. */
function forPython({ messages, tools, generation, continued, kwargs = {} }: Chat, form: 'object' | 'string') {
  const shown = messages.map(({ tool_calls, ...rest }) =>
    tool_calls === undefined
      ? rest
      : {
          ...rest,
          tool_calls: tool_calls.map((each) => ({
            ...each,
            function: {
              ...each.function,
              arguments: form === 'object' ? JSON.parse(each.function.arguments) : each.function.arguments,
            },
          })),
        },
  );
  const options = {
    ...(tools ? { tools } : {}),
    add_generation_prompt: generation ?? !continued,
    continue_final_message: continued ?? false,
  };
  return { messages: shown, options, kwargs };
}

const idsOf = ({ sinkTokenIds, blocks, finalTokenIds }: PromptPlan) => [
  ...sinkTokenIds,
  ...blocks.flatMap(({ tokenIds }) => [...tokenIds]),
  ...finalTokenIds,
];

/** Qwen's tokenizer with a template that places documents itself. */
const WITH_DOCUMENTS = join(root, 'documents');
const DOCUMENTS_TEMPLATE =
  '{% if documents %}<|im_start|>documents\n{% for d in documents %}[{{ d.title }}]\n{{ d.text }}\n{% endfor %}<|im_end|>\n{% endif %}' +
  '{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n{% endfor %}' +
  '{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}';
const DOCUMENTS = Object.entries(languages).map(([title, text]) => ({ title, text }));
const ASKED_TEXTS = texts();
const RAW = ['Hi', 'Why?\n', ...Object.values(languages).slice(0, 5)];

describe.runIf(fetched.length > 0)('against Python', () => {
  const expected = new Map<string, Expected>();

  beforeAll(async () => {
    const asked = fetched.map((name) => {
      const form = name === 'deepseek_v3' ? 'string' : 'object';
      const chats = Object.values(CHATS).map((chat) => forPython(chat, form));
      return { directory: realTokenizer(name) ?? '', texts: ASKED_TEXTS, chats, raw: RAW };
    });
    if (fetched.includes('qwen3')) {
      cpSync(realTokenizer('qwen3') ?? '', WITH_DOCUMENTS, { recursive: true });
      writeFileSync(join(WITH_DOCUMENTS, 'chat_template.jinja'), DOCUMENTS_TEMPLATE);
      const options = { documents: DOCUMENTS, add_generation_prompt: true };
      const chat = { messages: [system, user], options, kwargs: {} };
      asked.push({ directory: WITH_DOCUMENTS, texts: [], chats: [chat], raw: [] } as unknown as (typeof asked)[number]);
    }
    const answers = await askPython<Expected[]>(python, PROGRAM, asked);
    for (const [index, { directory }] of asked.entries()) expected.set(directory, answers[index] as Expected);
  }, 600_000);

  describe.each(fetched)('%s', (name) => {
    const directory = realTokenizer(name) ?? '';
    let text: TextService;
    beforeAll(async () => {
      text = await createTextService({ checkpointDir: directory });
    });
    afterAll(() => text.close());

    test('texts in twenty languages and code have the ids that Python gives them', async () => {
      expect(ASKED_TEXTS.length).toBeGreaterThan(350);
      for (const [index, ids] of (await text.encodeAll(ASKED_TEXTS, { parseControl: true })).entries()) {
        expect([...ids], JSON.stringify(ASKED_TEXTS[index])).toEqual(expected.get(directory)?.texts[index]);
      }
    });

    test('chats and raw prompts have the tokens of transformers under full attention', async () => {
      // A sink that no template writes: under full attention it must not be there.
      const builder = new PromptBuilder({ textService: text, sinkTokenIds: Int32Array.of(3) });
      const chats = text.chatTemplate === undefined ? [] : Object.entries(CHATS);
      const refused: string[] = [];
      for (const [index, [title, chat]] of chats.entries()) {
        const plan = builder.chat(asInput(chat));
        const { text: rendered, ids, error } = expected.get(directory)?.chats[index] ?? {};
        if (error !== undefined) {
          // What the template refuses there (roles that do not alternate, say) is refused here.
          await expect(plan, `${title}: ${error}`).rejects.toMatchObject({ code: 'invalid_request' });
          refused.push(title);
          continue;
        }
        expect(idsOf(await plan), `${title}: ${rendered}\n---\n${text.decode(idsOf(await plan))}`).toEqual(ids);
      }
      expect(refused.length, refused.join()).toBeLessThan(8);
      for (const [index, prompt] of RAW.entries()) {
        const plan = await builder.completion({ prompt, attention: 'full' });
        expect(idsOf(plan), prompt).toEqual(expected.get(directory)?.raw[index]);
      }
    });
  });

  test.runIf(fetched.includes('qwen3'))(
    'a template that places documents itself gives the text of transformers',
    async () => {
      const text = await createTextService({ checkpointDir: WITH_DOCUMENTS });
      const builder = new PromptBuilder({ textService: text, sinkTokenIds: new Int32Array() });
      const plan = await builder.chat({ messages: [system, user], documents: DOCUMENTS, attention: 'full' });
      // Blocks are tokenized apart, so the text is compared, not the ids at the seams. Qwen normalizes to NFC.
      const [rendered] = expected.get(WITH_DOCUMENTS)?.chats ?? [];
      expect(text.decode(idsOf(plan))).toBe(rendered?.text?.normalize('NFC'));
      await text.close();
    },
  );
});

function asInput({ messages, tools, generation, continued, kwargs }: Chat): Parameters<PromptBuilder['chat']>[0] {
  return {
    messages,
    attention: 'full',
    ...(tools ? { tools } : {}),
    ...(kwargs ? { templateKwargs: kwargs } : {}),
    ...(generation === undefined ? {} : { addGenerationPrompt: generation }),
    ...(continued === undefined ? {} : { continueFinalMessage: continued }),
  };
}
