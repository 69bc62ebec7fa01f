/** Requests with a grammar in the engine core: what the grammar thread allows, when it is late, and when it is gone. */
import { describe, expect, test } from 'vitest';
import type { NextToken } from '../../../../src/grammar/mask-link.js';
import { block, CoreBench, handleOf, request, SAMPLING } from '../../../support/core-bench.js';

const GRAMMAR = 9;

/** A grammar thread that allows one token after another. */
class FakeMasks {
  /** What each question is answered, in order; the last one for good. */
  answers: NextToken[] = [];
  readonly opened: [number, number][] = [];
  readonly accepted: number[] = [];
  readonly closed: number[] = [];
  open(handle: number, grammar: number): void {
    this.opened.push([handle, grammar]);
  }
  next(): NextToken {
    return (this.answers.length > 1 ? this.answers.shift() : this.answers[0]) ?? 'failed';
  }
  accept(_handle: number, token: number): void {
    this.accepted.push(token);
  }
  close(handle: number): void {
    this.closed.push(handle);
  }
}

const only = (...ids: number[]): NextToken => {
  const allowed = new Int32Array(32);
  for (const id of ids) allowed[id >> 5] = (allowed[id >> 5] as number) | (1 << (id & 31));
  return { allowed };
};

function bench() {
  const masks = new FakeMasks();
  const core = new CoreBench({ masks });
  const submit = (name: string, maxTokens = 3) =>
    core.submit(request(name, [block(1, 6)], { grammar: GRAMMAR, sampling: { ...SAMPLING, maxTokens } }));
  return { masks, core, submit };
}

describe('a request with a grammar', () => {
  test('gets tokens among those allowed, tells the grammar each of them, and leaves it at its end', async () => {
    const { masks, core, submit } = bench();
    masks.answers = [only(7), only(800), only(40)];
    submit('a');
    await core.drain();
    expect(core.tokens('a')).toEqual([7, 800, 40]);
    expect(core.last('a')).toMatchObject({ type: 'finish', reason: 'length' });
    const handle = handleOf('a');
    expect([masks.opened, masks.accepted, masks.closed]).toEqual([[[handle, GRAMMAR]], [7, 800, 40], [handle]]);
  });

  test('whose mask is late runs its last row again, and gets the same tokens', async () => {
    const { masks, core, submit } = bench();
    masks.answers = ['waiting', 'waiting', only(7), 'waiting', only(8), only(9)];
    submit('b');
    core.submit(request('other', [block(1, 6)]));
    await core.drain();
    expect(core.tokens('b')).toEqual([7, 8, 9]);
    expect(masks.accepted).toEqual([7, 8, 9]);
    const alone = new CoreBench();
    alone.submit(request('other', [block(1, 6)]));
    await alone.drain();
    expect(core.tokens('other')).toEqual(alone.tokens('other'));
    expect(core.freePages + core.cachedPages).toBe(core.pages);
  });

  test('whose text is whole ends', async () => {
    const { masks, core, submit } = bench();
    masks.answers = [only(7), 'ended'];
    submit('c', 8);
    await core.drain();
    expect(core.tokens('c')).toEqual([7]);
    expect(core.last('c')).toMatchObject({ type: 'finish', reason: 'stop', generatedTokens: 1 });
  });

  test.each([
    ['the grammar is lost', 'failed', /grammar thread/],
    ['no token is allowed', only(), /no token is allowed/],
  ] as [string, NextToken, RegExp][])('fails alone if %s', async (_, answer, words) => {
    const { masks, core, submit } = bench();
    masks.answers = [answer];
    submit('d');
    core.submit(request('well', [block(1, 6)]));
    await core.drain();
    expect(core.last('d')).toMatchObject({ type: 'failed', details: { reason: expect.stringMatching(words) } });
    expect(core.last('well')).toMatchObject({ type: 'finish', reason: 'length' });
    expect(masks.closed).toEqual([handleOf('d')]);
  });
});
