/** The server's segmentation: one cut for any number of callers, remembered for one tenant, given up if nobody waits. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createSegmentation } from '../../../src/documents/segmentation.js';
import { createTextService, type TextService } from '../../../src/text/text-service.js';
import type { RunOptions } from '../../../src/text/text-threads.js';
import { directoryOf } from '../../support/tokenizer-fixtures.js';

const DEFAULTS = {
  segmenter: 'structural',
  segmenterDir: '',
  sentenceEncoder: '',
  targetTokens: 200,
  maxBlockTokens: 512,
  maxBlocks: 1000,
} as const;
const LONG = 'One is here. Two is there.\n'.repeat(400);

let text: TextService;
let runs = 0;
/** Called when a text is about to go to a text thread. */
let onRun = () => {};
let watched: TextService;

beforeAll(async () => {
  text = await createTextService({ checkpointDir: directoryOf('qwen2'), maxThreads: 1, maxQueue: 1 });
  watched = {
    checkpointDir: text.checkpointDir,
    tokenizer: text.tokenizer,
    assertInside: (ids: Int32Array, param?: string) => text.assertInside(ids, param),
    runHere: <Result>(work: () => Result) => text.runHere(work),
    run: <Result>(file: string, name: string, task: object, options?: RunOptions) => {
      runs += 1;
      onRun();
      return text.run<Result>(file, name, task, options);
    },
  } as TextService;
});

beforeEach(() => {
  runs = 0;
  onRun = () => {};
});

afterAll(() => text.close());

describe('segmentation', () => {
  it('tells each who asks for a text that cannot be cut where it stands in its own request', async () => {
    const segment = createSegmentation(watched, DEFAULTS);
    const asked = ['documents[5].text', 'documents[0].text'].map((param) => segment('half of \ud83d', {}, { param }));
    const told = (await Promise.allSettled(asked)).map((each) => (each.status === 'rejected' ? each.reason.param : ''));
    expect(told).toEqual(['documents[5].text', 'documents[0].text']);
  });

  it('cuts a text once for all who ask at the same time, and remembers it', async () => {
    const segment = createSegmentation(watched, DEFAULTS);
    const [one, two] = await Promise.all([
      segment(LONG, {}),
      segment(LONG, {}, { signal: new AbortController().signal }),
    ]);
    expect(two).toBe(one);
    expect(await segment(LONG, {})).toBe(one);
    expect(runs).toBe(1);
    expect(await segment(LONG, { targetTokens: 50 })).not.toEqual(one);
    expect(runs).toBe(2);
  });

  it('gives each segment the ids of exactly its text', async () => {
    for (const { start, end, tokens, tokenIds } of await createSegmentation(watched, DEFAULTS)(LONG, {})) {
      expect(tokenIds).toEqual(text.tokenizer.encode(LONG.slice(start, end)));
      expect(tokens).toBe(tokenIds?.length);
    }
  });

  it('cuts a text anew for another tenant, so that times tell nothing', async () => {
    const segment = createSegmentation(watched, DEFAULTS);
    const first = await segment(LONG, {}, { tenant: 'a' });
    const second = await segment(LONG, {}, { tenant: 'b' });
    await Promise.all([segment(LONG, {}, { tenant: 'a' }), segment(LONG, {}, { tenant: 'b' })]);
    expect(second).toEqual(first);
    expect(runs).toBe(2);
    await Promise.all(['c', 'd'].map((tenant) => segment(LONG, {}, { tenant })));
    expect(runs).toBe(4);
  });

  it('refuses a text if the queue is full, and forgets a failure', async () => {
    const segment = createSegmentation(watched, DEFAULTS);
    const asked = [1, 2, 3].map((number) => segment(`${number} ${LONG}`, {}));
    const outcomes = await Promise.allSettled(asked);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    expect(outcomes[2]).toMatchObject({ reason: { code: 'queue_full', status: 429 } });
    expect((await segment(`3 ${LONG}`, {})).length).toBeGreaterThan(1);
  });

  it('gives up a text that nobody waits for, and only that', async () => {
    const segment = createSegmentation(watched, DEFAULTS);
    const client = new AbortController();
    onRun = () => client.abort(new Error('went'));
    const leaves = segment(`gone ${LONG}`, {}, { signal: client.signal });
    const stays = segment(`here ${LONG}`, {});
    await expect(leaves).rejects.toThrow('went');
    onRun = () => {};
    expect((await stays).length).toBeGreaterThan(1);
    // The text that was given up is not remembered as a failure.
    expect((await segment(`gone ${LONG}`, {})).length).toBeGreaterThan(1);
  });

  it('names the text that cannot be cut', async () => {
    const segment = createSegmentation(watched, { ...DEFAULTS, maxBlocks: 2 });
    await expect(segment('a\ud800', {}, { param: 'documents[1].text' })).rejects.toMatchObject({
      code: 'text_not_encodable',
      param: 'documents[1].text',
    });
    await expect(segment(LONG, {})).rejects.toMatchObject({ code: 'payload_too_large' });
    await expect(segment(LONG, { targetTokens: 2_000_000 })).rejects.toMatchObject({ code: 'segmentation_invalid' });
  });
});
