/**
 * Structured output and tools through the frameworks, under drawn schemas, and the adapters of clients/python-adapters:
 * Python ones by pytest in the environment of `make frameworks`, the Vercel AI SDK here.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateObject, generateText, jsonSchema, streamObject, streamText, tool } from 'ai';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { PACKAGE_DIR } from '../../src/config.js';
import { type DemoServer, startDemoServer } from '../support/demo-server.js';
import { frameworksPython } from '../support/frameworks.js';

const python = frameworksPython();
const DRAWN = 20;
let demo: DemoServer;

beforeAll(async () => {
  demo = await startDemoServer();
});
afterEach(() => demo.idle());
afterAll(() => demo.close());

async function pytest(path: string): Promise<number> {
  const adapters = join(PACKAGE_DIR, 'clients', 'python-adapters', 'src');
  const env = {
    ...process.env,
    ...{
      BLOCKSTITCH_URL: demo.url,
      PYTHONPATH: adapters,
      PYTHONDONTWRITEBYTECODE: '1',
      LITELLM_LOCAL_MODEL_COST_MAP: 'True',
    },
  };
  const argv = ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-W', 'ignore', join(PACKAGE_DIR, path)];
  const { stdout } = await promisify(execFile)(python ?? '', argv, { env }).catch((error: { stdout: string }) => {
    throw new Error(error.stdout, { cause: error });
  });
  expect(stdout).not.toMatch(/failed|error|skipped/);
  return Number(/(\d+) passed/.exec(stdout)?.[1] ?? 0);
}

test.skipIf(python === undefined)(
  'LangChain, LlamaIndex, Haystack and LiteLLM: 200 answers under 20 schemas parse and fit (needs make frameworks)',
  async () => {
    expect(await pytest('test/e2e/test_frameworks.py')).toBe(4 * DRAWN + 2);
  },
);

test.skipIf(python === undefined)('the adapters send what was found as documents (needs make frameworks)', async () => {
  expect(await pytest('clients/python-adapters/tests')).toBeGreaterThan(8);
});

const leaf = fc.oneof(
  fc.integer({ min: 2, max: 9 }).map((maxLength) => ({ type: 'string', maxLength })),
  fc.integer({ min: -99, max: 99 }).map((minimum) => ({ type: 'integer', minimum, maximum: minimum + 200 })),
  fc.constantFrom({ type: 'boolean' }, { enum: ['red', 'dark "blue"', 'Ü'] }, { type: 'null' }),
  fc.constant({ type: 'array', items: { enum: [1, 2, 3] }, minItems: 1, maxItems: 2 }),
);
const object = (values: fc.Arbitrary<object>) =>
  fc
    .dictionary(fc.constantFrom('name', 'place', 'the month', 'year'), values, { minKeys: 1, maxKeys: 3 })
    .map((properties) => ({
      ...{ type: 'object', properties, required: Object.keys(properties), additionalProperties: false },
    }));
const schemas = fc.sample(object(fc.oneof(leaf, leaf, object(leaf))), { numRuns: DRAWN, seed: 7 });

test('the Vercel AI SDK: 80 answers under 20 schemas parse and fit, streamed and not', async () => {
  const provider = createOpenAICompatible({
    ...{ name: 'blockstitch', baseURL: `${demo.url}/v1`, supportsStructuredOutputs: true, includeUsage: true },
  });
  const ajv = new Ajv2020();
  for (const [seed, drawn] of schemas.entries()) {
    const fits = (value: unknown) => {
      expect(ajv.validate(drawn, value), `${JSON.stringify(value)} against ${JSON.stringify(drawn)}`).toBe(true);
    };
    const common = {
      ...{
        model: provider('demo'),
        prompt: 'Who hosts Zesuni?',
        temperature: 1,
        seed,
        maxOutputTokens: 600,
        maxRetries: 0,
      },
      providerOptions: { blockstitch: { parallel_tool_calls: false } },
    };
    const schema = jsonSchema<object>(drawn);
    fits((await generateObject({ ...common, schema })).object);
    const streamed = streamObject({ ...common, schema });
    let last: unknown;
    for await (const partial of streamed.partialObjectStream) last = partial;
    fits(last);
    const tools = { fill: tool({ description: 'Fills.', inputSchema: schema, execute: async () => 'done' }) };
    const called = await generateText({ ...common, tools, toolChoice: 'required' });
    expect(called.finishReason).toBe('tool-calls');
    fits(called.toolCalls[0]?.input);
    const calling = streamText({ ...common, tools, toolChoice: { type: 'tool', toolName: 'fill' } });
    await calling.consumeStream();
    fits((await calling.toolCalls)[0]?.input);
  }
});
