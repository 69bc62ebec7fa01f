import { expect, test } from 'vitest';
import type { Choices } from '../../../src/server/generation/choices.js';
import { PromptSet } from '../../../src/server/generation/prompt-set.js';

test('tells prompts that still wait when one of them fails in a stream', async () => {
  let told: Promise<unknown> = Promise.resolve();
  const waiting = {
    async *stream(signal: AbortSignal) {
      told = new Promise((resolve) => signal.addEventListener('abort', resolve));
      await told;
    },
  };
  const failing = {
    // biome-ignore lint/correctness/useYield: it fails at once
    async *stream() {
      throw new Error('queue full');
    },
  };
  const set = new PromptSet([waiting, failing] as unknown as [Choices, Choices], 1);
  await expect(set.stream(new AbortController().signal).next()).rejects.toThrow('queue full');
  await told;
});
