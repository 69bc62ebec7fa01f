/** Documents of one request: some side by side, answered in order, given up together. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { promptDocuments } from '../../../src/documents/document-inputs.js';
import type { SegmentContext, SegmentOptions } from '../../../src/segment/segmenter.js';
import type { Services } from '../../../src/server/services.js';
import { fakeApp, segmentParagraphs } from '../../support/fake-services.js';

type Segmenting = Services['segment'];

let services: Services;
let close: () => Promise<unknown>;

beforeAll(async () => {
  const fake = await fakeApp();
  services = fake.services;
  close = () => fake.app.close();
});

afterAll(() => close());

/** Segmentation that ends when the test says so. */
function held() {
  const calls: { text: string; context: SegmentContext; end: () => void; fail: (error: Error) => void }[] = [];
  const segment: Segmenting = (text: string, _options: SegmentOptions, context: SegmentContext = {}) =>
    new Promise((resolve, reject) => {
      context.signal?.addEventListener('abort', () => reject(context.signal?.reason));
      calls.push({ text, context, end: () => resolve(segmentParagraphs(text)), fail: reject });
    });
  return { calls, services: { ...services, segment } };
}

const texts = (count: number) => Array.from({ length: count }, (_, at) => ({ text: `Document ${at}.` }));
const turn = () => new Promise(setImmediate);

describe('the documents of one request', () => {
  it('are cut four at a time and come back in order', async () => {
    const { calls, services } = held();
    const answer = promptDocuments(services, texts(6), undefined, 'salt', new AbortController().signal);
    expect(calls.map(({ text }) => text)).toEqual(texts(4).map(({ text }) => text));
    for (const call of [3, 2, 1]) calls[call]?.end();
    await turn();
    expect(calls).toHaveLength(4);
    calls[0]?.end();
    await turn();
    expect(calls).toHaveLength(6);
    for (const { end } of calls) end();
    expect((await answer).map(({ text }) => text)).toEqual(texts(6).map(({ text }) => text));
  });

  it('have one place in the queue, one tenant, and each its own name', async () => {
    const { calls, services } = held();
    const answer = promptDocuments(services, texts(2), undefined, 'salt', new AbortController().signal);
    expect(calls[1]?.context.place).toBe(calls[0]?.context.place);
    expect(calls[0]?.context.place?.isLeft).toBe(false);
    expect(calls.map(({ context }) => [context.tenant, context.param])).toEqual([
      ['salt', 'documents[0].text'],
      ['salt', 'documents[1].text'],
    ]);
    for (const { end } of calls) end();
    await answer;
    expect(calls[0]?.context.place?.isLeft).toBe(true);
  });

  it('are given up when the client goes, and when one of them fails', async () => {
    const first = held();
    const client = new AbortController();
    const gone = promptDocuments(first.services, texts(8), undefined, undefined, client.signal);
    client.abort(new Error('went'));
    await expect(gone).rejects.toThrow('went');
    expect(first.calls).toHaveLength(4);
    expect(first.calls.every(({ context }) => context.signal?.aborted)).toBe(true);

    const second = held();
    const failed = promptDocuments(second.services, texts(8), undefined, undefined, new AbortController().signal);
    second.calls[0]?.fail(new Error('broken'));
    await expect(failed).rejects.toThrow('broken');
    expect(second.calls).toHaveLength(4);
    expect(second.calls.slice(1).every(({ context }) => context.signal?.aborted)).toBe(true);
  });
});
