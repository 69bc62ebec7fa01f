/** The memory of documents: it takes any number of them, makes each once for all that ask, and serves one tenant alone. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DocumentBlocks, type DocumentText } from '../../../src/prompt/document-blocks.js';
import { EMPTY_FRAME } from '../../../src/prompt/document-frame.js';
import { createTextService, type TextService } from '../../../src/text/text-service.js';
import { directoryOf } from '../../support/tokenizer-fixtures.js';

let text: TextService;
let encoded: string[] = [];

/** Writes down what is tokenized. */
const watched: DocumentText = {
  encodeAll: (texts, options) => {
    encoded.push(...texts);
    return text.encodeAll(texts, options);
  },
  runHere: (work) => text.runHere(work),
};

beforeAll(async () => {
  text = await createTextService({ checkpointDir: directoryOf('qwen2') });
});

beforeEach(() => {
  encoded = [];
});

afterAll(() => text.close());

const FRAME = { prefix: '', suffix: '' };

describe('the memory of documents', () => {
  it('still works after hundreds of pairs of equal documents in one prompt', async () => {
    const documents = new DocumentBlocks(watched, undefined);
    // The two of a pair miss together. Counted twice and forgotten once, 100 pairs would be all that the memory holds.
    for (let round = 0; round < 100; round += 1) {
      const body = `${round}`;
      const segments = [{ start: 0, end: body.length, tokenIds: new Int32Array(50_000).fill(round) }];
      await Promise.all([0, 1].map((index) => documents.blocks({ text: body, segments }, FRAME, index, {})));
    }
    for (let round = 0; round < 3; round += 1) await documents.blocks({ text: 'Is it alive?' }, FRAME, 0, {});
    expect(encoded).toEqual(['Is it alive?']);
  });

  it('tokenizes a document once for all who ask at the same time', async () => {
    const documents = new DocumentBlocks(watched, undefined);
    const document = { text: 'Cold and asked for twice.' };
    const [one, two] = await Promise.all([
      documents.blocks(document, FRAME, 0, {}),
      documents.blocks({ ...document, id: 'other' }, FRAME, 3, {}),
    ]);
    expect(encoded).toEqual([document.text]);
    expect(two?.[0]?.tokenIds).toEqual(one?.[0]?.tokenIds);
    expect(two?.[0]?.source).toMatchObject({ documentIndex: 3, documentId: 'other' });
  });

  it('tells each who asks for a text that cannot be encoded where it stands in its own request', async () => {
    const documents = new DocumentBlocks(watched, undefined);
    const asked = [5, 0].map((index) => documents.blocks({ text: 'half of \ud83d' }, FRAME, index, {}));
    const told = (await Promise.allSettled(asked)).map((each) =>
      each.status === 'rejected' ? each.reason : undefined,
    );
    for (const [at, param] of ['documents[5].text', 'documents[0].text'].entries()) {
      expect(told[at]).toMatchObject({ code: 'text_not_encodable', param, message: expect.stringContaining(param) });
    }
  });

  it('serves one tenant alone: the same text of another tenant is tokenized anew', async () => {
    const documents = new DocumentBlocks(watched, undefined);
    const document = { text: 'A secret of the first tenant.' };
    const first = await documents.blocks(document, FRAME, 0, { tenant: 'a' });
    await documents.blocks(document, FRAME, 0, { tenant: 'a' });
    expect(encoded).toHaveLength(1);
    const second = await documents.blocks(document, FRAME, 0, { tenant: 'b' });
    await documents.blocks(document, FRAME, 0, {});
    expect(encoded).toHaveLength(3);
    expect(second).toEqual(first);
  });

  it('goes on for one client when another that asked for the same leaves', async () => {
    const documents = new DocumentBlocks(watched, undefined);
    const document = { text: 'long '.repeat(20_000) };
    const client = new AbortController();
    const leaves = documents.blocks(document, FRAME, 0, { signal: client.signal });
    const stays = documents.blocks(document, FRAME, 0, { signal: new AbortController().signal });
    // Both wait for the same work by now.
    await new Promise(setImmediate);
    client.abort(new Error('went'));
    await expect(leaves).rejects.toThrow('went');
    expect((await stays)[0]?.tokenIds).toEqual(text.tokenizer.encode(document.text));
    expect(encoded).toHaveLength(1);
  });
});

describe('segments that bring their ids', () => {
  it('are taken as they are; only those in the frame get tokens of their own', async () => {
    const documents = new DocumentBlocks(watched, undefined);
    const parts = ['One is here. ', 'Two is there. ', 'Three is nowhere.'];
    let start = 0;
    const segments = parts.map((part) => {
      start += part.length;
      return { start: start - part.length, end: start, tokenIds: text.tokenizer.encode(part) };
    });
    const document = { text: parts.join(''), segments };
    const bare = await documents.blocks(document, EMPTY_FRAME, 0, {});
    expect(encoded).toEqual([]);
    expect(bare.map((block) => block.tokenIds)).toEqual(segments.map((segment) => segment.tokenIds));
    const framed = await documents.blocks(document, { prefix: 'Title\n', suffix: '\n\n' }, 0, {});
    expect(encoded).toEqual([`Title\n${parts[0]}`, `${parts[2]}\n\n`]);
    expect(framed[1]?.tokenIds).toBe(segments[1]?.tokenIds);
  });
});
