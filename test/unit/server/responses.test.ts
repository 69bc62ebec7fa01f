import { describe, expect, it } from 'vitest';
import { fakeApp } from '../../support/fake-services.js';

async function respond(payload: object) {
  const { app } = await fakeApp();
  const response = await app.inject({ method: 'POST', url: '/v1/responses', payload });
  return { status: response.statusCode, text: response.payload, headers: response.headers };
}

describe('POST /v1/responses', () => {
  it('answers a question over documents, with usage and the report', async () => {
    const { status, text, headers } = await respond({
      instructions: 'Be brief.',
      input: [{ role: 'user', content: [{ type: 'input_text', text: 'What is the answer?' }] }],
      documents: ['It is 42.'],
      metadata: { run: '7' },
    });
    expect(status).toBe(200);
    expect(JSON.parse(text)).toMatchObject({
      id: expect.stringMatching(/^resp_/),
      object: 'response',
      status: 'completed',
      instructions: 'Be brief.',
      output: [
        {
          type: 'message',
          role: 'assistant',
          content: [{ type: 'output_text', text: 'The answer is 42.', annotations: [] }],
        },
      ],
      metadata: { run: '7' },
      usage: { output_tokens: 17, input_tokens_details: { cached_tokens: 0 } },
      blockstitch: { blocks: [{ kind: 'template' }, { kind: 'document', document: { index: 0 } }] },
    });
    expect(headers['x-blockstitch-blocks-hit']).toBe('0');
  });

  it('is incomplete if max_output_tokens cut it', async () => {
    const { text } = await respond({ input: 'What is the answer?', max_output_tokens: 3 });
    expect(JSON.parse(text)).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      output: [{ content: [{ text: 'The' }] }],
    });
  });

  it("streams OpenAI's events in order, and the pieces make up the text", async () => {
    const { text } = await respond({ input: 'What is the answer?', stream: true });
    const events = text
      .trim()
      .split('\n\n')
      .map((event) => JSON.parse(event.replace(/^event: .*\ndata: /, '')) as Record<string, unknown>);
    expect(events.map(({ sequence_number: number }) => number)).toEqual(events.map((_, index) => index));
    const types = events.map(({ type }) => type);
    expect([...new Set(types)]).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
    expect(events.map(({ delta }) => delta ?? '').join('')).toBe('The answer is 42.');
    expect(events.at(-1)).toMatchObject({ response: { status: 'completed', usage: { output_tokens: 17 } } });
  });

  it('refuses by name what needs state', async () => {
    for (const [field, value] of [
      ['previous_response_id', 'resp_1'],
      ['conversation', 'conv_1'],
      ['background', true],
      ['n', 3],
      ['reasoning', { effort: 'low' }],
    ] as const) {
      const { status, text } = await respond({ input: 'x', [field]: value });
      expect([status, JSON.parse(text).error.param]).toEqual([400, field]);
    }
  });

  it("names the client's own fields in errors", async () => {
    const wrong = [
      [{ input: ' ' }, 'input'],
      [{ input: 'x', max_output_tokens: 1_000_000 }, 'max_output_tokens'],
      [{ input: 'x', text: { format: { type: 'json_schema', schema: { not: {} } } } }, 'text.format'],
      [{ input: 'x', text: { format: { type: 'json_schema' } } }, 'text.format.schema'],
      // As chat nests it: a field that is not known here.
      [{ input: 'x', text: { format: { type: 'json_schema', json_schema: { schema: {} } } } }, 'text.format.schema'],
    ] as const;
    for (const [body, param] of wrong) {
      const { status, text } = await respond(body);
      expect([status, JSON.parse(text).error.param]).toEqual([400, param]);
    }
  });
});
