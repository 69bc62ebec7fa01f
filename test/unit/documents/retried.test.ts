/** Work of a job that fails for reasons that may pass is tried again. */
import { expect, test } from 'vitest';
import { retried } from '../../../src/documents/patiently.js';
import { BlockstitchError } from '../../../src/errors.js';

const signal = new AbortController().signal;

test('until it succeeds', async () => {
  let tries = 0;
  const work = async () => {
    if (++tries < 3) throw new BlockstitchError('store_failed', { reason: 'for a moment' });
    return tries;
  };
  expect(await retried(work, signal, 1)).toBe(3);
});

test('not for ever, and not where it would fail again', async () => {
  let tries = 0;
  const fail = (code: 'store_failed' | 'empty_input') => async () => {
    tries++;
    throw new BlockstitchError(code, { reason: 'x', what: 'x' });
  };
  await expect(retried(fail('store_failed'), signal, 1)).rejects.toMatchObject({ code: 'store_failed' });
  expect(tries).toBe(4);
  await expect(retried(fail('empty_input'), signal, 1)).rejects.toMatchObject({ code: 'empty_input' });
  expect(tries).toBe(5);
});

test('no more once it is called off', async () => {
  const stop = new AbortController();
  let tries = 0;
  const work = async () => {
    tries++;
    stop.abort(new BlockstitchError('client_closed'));
    throw new BlockstitchError('store_failed', { reason: 'x' });
  };
  await expect(retried(work, stop.signal, 1)).rejects.toMatchObject({ code: 'store_failed' });
  expect(tries).toBe(1);
});
