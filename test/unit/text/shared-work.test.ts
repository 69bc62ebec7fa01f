/** Equal work at the same time is done once; it ends when nobody waits for it any more. */
import { describe, expect, it } from 'vitest';
import { SharedWork } from '../../../src/text/shared-work.js';

/** Work that ends when the test says so, and what became of it. */
function controlled() {
  const begun: { signal: AbortSignal; resolve: (value: number) => void; reject: (error: Error) => void }[] = [];
  const work = (signal: AbortSignal) =>
    new Promise<number>((resolve, reject) => {
      begun.push({ signal, resolve, reject });
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  return { begun, work };
}

describe('work that several wait for', () => {
  it('is done once while it runs, and again after it has ended', async () => {
    const shared = new SharedWork<number>();
    const { begun, work } = controlled();
    const answers = [shared.run('a', work), shared.run('a', work), shared.run('b', work)];
    expect(begun).toHaveLength(2);
    begun[0]?.resolve(1);
    begun[1]?.resolve(2);
    expect(await Promise.all(answers)).toEqual([1, 1, 2]);
    const again = shared.run('a', work);
    expect(begun).toHaveLength(3);
    begun[2]?.resolve(3);
    expect(await again).toBe(3);
  });

  it('goes on when one of two leaves, and is stopped when the last one does', async () => {
    const shared = new SharedWork<number>();
    const { begun, work } = controlled();
    const [first, second] = [new AbortController(), new AbortController()];
    const one = shared.run('a', work, first.signal);
    const two = shared.run('a', work, second.signal);
    first.abort(new Error('first went'));
    await expect(one).rejects.toThrow('first went');
    expect(begun[0]?.signal.aborted).toBe(false);
    second.abort(new Error('second went'));
    await expect(two).rejects.toThrow('second went');
    expect(begun[0]?.signal.aborted).toBe(true);
    // Who comes now does not get the work that was given up.
    const three = shared.run('a', work);
    begun[1]?.resolve(3);
    expect(await three).toBe(3);
  });

  it('is not stopped while one without a signal waits', async () => {
    const shared = new SharedWork<number>();
    const { begun, work } = controlled();
    const client = new AbortController();
    const stays = shared.run('a', work);
    const leaves = shared.run('a', work, client.signal);
    client.abort(new Error('went'));
    await expect(leaves).rejects.toThrow('went');
    begun[0]?.resolve(1);
    expect(await stays).toBe(1);
  });

  it('fails for all who wait, and is tried again for the next', async () => {
    const shared = new SharedWork<number>();
    const { begun, work } = controlled();
    const answers = [shared.run('a', work), shared.run('a', work, new AbortController().signal)];
    begun[0]?.reject(new Error('broken'));
    for (const answer of answers) await expect(answer).rejects.toThrow('broken');
    const again = shared.run('a', work);
    begun[1]?.resolve(2);
    expect(await again).toBe(2);
  });

  it('is not begun for one who has gone already', async () => {
    const { begun, work } = controlled();
    await expect(new SharedWork<number>().run('a', work, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
    expect(begun).toHaveLength(0);
  });
});
