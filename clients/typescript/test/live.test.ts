/**
 * The client against a served model: every route of the server's own OpenAPI document, streams and job events among them.
 * Needs BLOCKSTITCH_URL, and BLOCKSTITCH_KEY if the server has keys. `npm test` runs it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Blockstitch,
  BlockstitchError,
  type ChatCompletionRequest,
  type DocumentRequest,
  type ResponseOutputItem,
  type ResponseRequest,
  UnexpectedAnswer,
} from '../src/index.js';

const baseUrl = process.env['BLOCKSTITCH_URL'] ?? 'http://127.0.0.1:8080';
const apiKey = process.env['BLOCKSTITCH_KEY'];
const asked = new Set<string>();
const client = new Blockstitch({
  baseUrl,
  ...(apiKey === undefined ? {} : { apiKey }),
  cacheSalt: 'typescript client',
  fetch: (request) => {
    asked.add(`${request.method} ${decodeURIComponent(new URL(request.url).pathname)}`);
    return fetch(request);
  },
});

const question: ChatCompletionRequest = {
  messages: [{ role: 'user', content: 'Where is Zokego held?' }],
  documents: [{ title: 'Fairs', text: 'Zokego is held in Limoga.' }],
  max_tokens: 16,
  temperature: 0,
};
const fairs: DocumentRequest = { id: 'fairs & more', title: 'Fairs', text: 'Zokego is held in Limoga.' };

test('answers, and tells which blocks were used', async () => {
  const answer = await client.chat(question);
  assert.equal(answer.choices[0]?.message.content, 'Zokego is held in Limoga.');
  assert.equal(answer.blockstitch.blocks[0]?.kind, 'document');
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test('streams the same answer in chunks, and the report at the end', async () => {
  let text = '';
  let blocks = 0;
  let tokens = 0;
  const request = { ...question, stream_options: { include_usage: true } };
  for await (const { choices, blockstitch, usage } of client.streamChat(request)) {
    text += choices[0]?.delta.content ?? '';
    blocks += blockstitch?.blocks.length ?? 0;
    tokens += usage?.total_tokens ?? 0;
  }
  assert.equal(text, 'Zokego is held in Limoga.');
  assert.equal(blocks, 1);
  assert.ok(tokens > 0);
});

test('a stream that is left ends its request', async () => {
  for await (const { object } of client.streamChat({ ...question, max_tokens: 200, ignore_eos: true })) {
    assert.equal(object, 'chat.completion.chunk');
    break;
  }
});

test('completes a prompt, whole and streamed', async () => {
  const request = {
    blocks: ['Zokego is held in Limoga.'],
    prompt: ' Zokego is held in',
    max_tokens: 4,
    temperature: 0,
  };
  const { choices } = await client.complete(request);
  let text = '';
  for await (const chunk of client.streamCompletion(request)) text += chunk.choices[0]?.text ?? '';
  assert.equal(text, choices[0]?.text);
});

test('answers in the form of responses, whole and streamed', async () => {
  const request = { input: 'Where is Zokego held?', documents: ['Zokego is held in Limoga.'], temperature: 0 };
  const [message] = (await client.respond(request)).output;
  assert.ok(message?.type === 'message');
  let text = '';
  const types: string[] = [];
  for await (const { type, delta } of client.streamResponse(request)) {
    text += delta ?? '';
    types.push(type);
  }
  assert.equal(text, message.content[0]?.text);
  assert.equal(types.at(-1), 'response.completed');
});

test('calls a function in the form of responses, and takes what it gave', async () => {
  const input: ResponseRequest['input'] = [{ role: 'user', content: 'Who hosts Zokego?' }];
  const tools: ResponseRequest['tools'] = [{ type: 'function', name: 'find_host' }];
  const choice: ResponseRequest['tool_choice'] = { type: 'function', name: 'find_host' };
  const items: ResponseOutputItem[] = [];
  for await (const { type, item } of client.streamResponse({ input, tools, tool_choice: choice })) {
    if (type === 'response.output_item.done' && item !== undefined) items.push(item);
  }
  const [call] = items;
  assert.ok(call?.type === 'function_call');
  assert.deepEqual([items.length, call.name, call.arguments, call.status], [1, 'find_host', '{}', 'completed']);
  input.push(call, { type: 'function_call_output', call_id: call.call_id, output: 'Sobako hosts it.' });
  const { output } = await client.respond({ input, tools, tool_choice: 'none', max_output_tokens: 8 });
  assert.deepEqual(
    output.map(({ type }) => type),
    ['message'],
  );
});

test('ingests, lists, reads and deletes documents', async () => {
  const stored = await client.ingest(fairs);
  assert.equal(stored.id, fairs.id);
  const hash = stored.blocks?.[0]?.hash ?? '';
  const block = await client.api.GET('/v1/blocks/{hash}', { params: { path: { hash } } });
  assert.ok(block.data?.tiers.includes('pool'));
  const ids: string[] = [];
  for await (const { id } of client.documents()) ids.push(id);
  assert.deepEqual(ids, [fairs.id]);
  assert.equal((await client.getDocument(stored.id)).text, fairs.text);
  const dropped = await client.api.DELETE('/v1/blocks/{hash}', { params: { path: { hash } } });
  assert.equal(dropped.data?.deleted, true);
  assert.equal((await client.deleteDocument(stored.id)).deleted, true);
  await assert.rejects(client.getDocument(stored.id), (error) => {
    assert.ok(error instanceof BlockstitchError);
    assert.equal(error.code, 'document_not_found');
    assert.equal(error.status, 404);
    return true;
  });
});

test('follows a background ingestion by its events', async () => {
  const job = await client.ingestInBackground({ ...fairs, id: 'later' });
  const names: string[] = [];
  for await (const { name, job: now } of client.watchJob(job.id)) {
    names.push(name);
    assert.equal(now.document_id, 'later');
  }
  assert.equal(names.at(-1), 'done');
  assert.equal((await client.finishJob(job.id)).status, 'done');
  assert.equal((await client.getJob(job.id)).blocks_done, 1);
  assert.equal((await client.cancelJob(job.id)).status, 'done');
});

test('ingests many documents with a result for each', async () => {
  const results = [];
  for await (const result of client.ingestMany([{ ...fairs, id: 'first' }, { text: ' ' }, { ...fairs, id: 'last' }])) {
    results.push(result);
  }
  assert.deepEqual(
    results.map(({ line, status, id, error }) => [line, status, id, error?.code]),
    [
      [1, 'done', 'first', undefined],
      [2, 'failed', undefined, 'empty_input'],
      [3, 'done', 'last', undefined],
    ],
  );
  for (const id of ['first', 'last']) assert.ok((await client.deleteDocument(id)).deleted);
});

test('shows how a text is cut', async () => {
  const { data } = await client.segment({ text: 'One is here. Two is there.', include_text: true });
  assert.equal(data.map(({ text }) => text).join(''), 'One is here. Two is there.');
});

test('raises what the server refuses, before a stream and in place of an answer', async () => {
  const wrong: ChatCompletionRequest = { ...question, temperature: 7 };
  for (const call of [() => client.chat(wrong), () => client.streamChat(wrong).next()]) {
    await assert.rejects(call, (error) => error instanceof BlockstitchError && error.param === 'temperature');
  }
});

test('tells an answer that is not the server’s, and a stream that was cut', async () => {
  const answers = [
    new Response('<h1>Bad gateway</h1>', { status: 502 }),
    new Response('data: {"object":"chat.completion.chunk","choices":[]}\n\n', {
      headers: { 'content-type': 'text/event-stream' },
    }),
    new Response(
      'data: {"error":{"message":"m","code":"engine_failed","remedy":"r","param":null,"type":"server_error"}}\n\n',
      {
        headers: { 'content-type': 'text/event-stream' },
      },
    ),
  ];
  const behind = new Blockstitch({ baseUrl, fetch: async () => answers.shift() ?? Response.error() });
  const drain = async () => {
    for await (const chunk of behind.streamChat(question)) assert.ok(chunk);
  };
  await assert.rejects(drain, UnexpectedAnswer);
  await assert.rejects(drain, UnexpectedAnswer);
  await assert.rejects(drain, (error) => error instanceof BlockstitchError && error.code === 'engine_failed');
});

interface Operation {
  requestBody?: { content: { 'application/json': { example: object } } };
  parameters?: { in: string; name: string }[];
}

test('every route was asked: those without a helper are asked with the example of the document', async () => {
  const { data } = await client.api.GET('/openapi.json');
  const paths = data?.['paths'] as Record<string, Record<string, Operation>>;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
  const wasAsked = (method: string, path: string) =>
    [...asked].some((each) => new RegExp(`^${method} ${path.replace(/\{\w+\}/g, '[^/]+')}$`).test(each));
  for (const { method, path, operation } of operations) {
    if (wasAsked(method, path)) continue;
    const body = operation.requestBody?.content['application/json'].example;
    const sent: Record<string, unknown> = { body, params: { path: { model: 'demo' } }, parseAs: 'text' };
    const { response, error } = await client.api.request(method.toLowerCase() as 'get', path as '/health', sent);
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${JSON.stringify(error)}`);
  }
  assert.deepEqual(
    operations.filter(({ method, path }) => !wasAsked(method, path)),
    [],
  );
  assert.ok(operations.length > 15);
});
