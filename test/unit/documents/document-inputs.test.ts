/** Documents of one request: some side by side, answered in order, given up together. */
import { describe, expect, it } from 'vitest';
import { scopeDigest } from '../../../src/cache/block-key.js';
import { type CacheScope, COMMON_SCOPE } from '../../../src/cache/tiers.js';
import { cutInputs } from '../../../src/documents/document-inputs.js';
import { DocumentRegistry } from '../../../src/documents/document-registry.js';
import type { Segmentation } from '../../../src/documents/segmentation.js';
import type { SegmentContext, SegmentOptions } from '../../../src/segment/segmenter.js';
import { segmentParagraphs } from '../../support/fake-services.js';
import { MemoryShelf } from '../../support/memory-shelves.js';

/** Stands for the note of who uses which document: these requests use none. */
const NO_CUTS = {
  begin: (scope: CacheScope, id: string) => ({ scope, id, ended: undefined, outdated: false }),
  note: () => undefined,
};

const SCOPE = { tenant: 'someone', salt: 'salt' };

/** Segmentation that ends when the test says so. */
function held() {
  const calls: { text: string; context: SegmentContext; end: () => void; fail: (error: Error) => void }[] = [];
  const segment: Segmentation = (text: string, _options: SegmentOptions, context: SegmentContext = {}) =>
    new Promise((resolve, reject) => {
      context.signal?.addEventListener('abort', () => reject(context.signal?.reason));
      calls.push({ text, context, end: () => resolve(segmentParagraphs(text)), fail: reject });
    });
  const limits = { maxDocuments: 256, maxDocumentBytes: 1 << 20, maxQueue: 8, maxBlocks: 8192, contextTokens: 4096 };
  const cut = (count: number, scope = COMMON_SCOPE, signal = new AbortController().signal) =>
    cutInputs(
      { limits, segment, registry: new DocumentRegistry(new MemoryShelf()), cuts: NO_CUTS },
      { scope, documents: texts(count), signal },
    );
  return { calls, cut };
}

const texts = (count: number) => Array.from({ length: count }, (_, at) => ({ text: `Document ${at}.` }));
const turn = () => new Promise(setImmediate);

describe('the documents of one request', () => {
  it('are cut four at a time and come back in order', async () => {
    const { calls, cut } = held();
    const answer = cut(6);
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
    const { calls, cut } = held();
    const answer = cut(2, SCOPE);
    expect(calls[1]?.context.place).toBe(calls[0]?.context.place);
    expect(calls[0]?.context.place?.isLeft).toBe(false);
    expect(calls.map(({ context }) => [context.tenant, context.param])).toEqual([
      [scopeDigest(SCOPE), 'documents[0].text'],
      [scopeDigest(SCOPE), 'documents[1].text'],
    ]);
    for (const { end } of calls) end();
    await answer;
    expect(calls[0]?.context.place?.isLeft).toBe(true);
  });

  it('are given up when the client goes, and when one of them fails', async () => {
    const first = held();
    const client = new AbortController();
    const gone = first.cut(8, COMMON_SCOPE, client.signal);
    client.abort(new Error('went'));
    await expect(gone).rejects.toThrow('went');
    expect(first.calls).toHaveLength(4);
    expect(first.calls.every(({ context }) => context.signal?.aborted)).toBe(true);

    const second = held();
    const failed = second.cut(8);
    second.calls[0]?.fail(new Error('broken'));
    await expect(failed).rejects.toThrow('broken');
    expect(second.calls).toHaveLength(4);
    expect(second.calls.slice(1).every(({ context }) => context.signal?.aborted)).toBe(true);
  });
});
