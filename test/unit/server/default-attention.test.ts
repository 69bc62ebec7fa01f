/** What requests get that name no attention: nobody stitches a model without a word that was not trained for it. */
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config.js';
import { defaultAttention } from '../../../src/server/default-attention.js';

const STOCK = {};
const DISTILLED = { blockAttention: { mode: 'block' as const, sinkTokenIds: [0, 7] } };
const TUNED_UNDER_FULL = { blockAttention: { mode: 'full' as const, sinkTokenIds: [0] } };

function chosen(flags: Record<string, string>, checkpoint: typeof STOCK | typeof DISTILLED | typeof TUNED_UNDER_FULL) {
  const lines: string[] = [];
  const attention = defaultAttention(loadConfig(flags, {}), checkpoint, (line) => lines.push(line));
  return { attention, lines };
}

describe('a checkpoint without a block_attention section', () => {
  test('gets repair, and a line that says what stitching costs and what to do', () => {
    const { attention, lines } = chosen({}, STOCK);
    expect(attention).toEqual({ mode: 'block', repair: { share: 0.15, by: 'first' } });
    expect(lines).toHaveLength(1);
    for (const word of ['not trained', 'cost', 'repair 0.15', 'blockstitch eval', 'distil', '--attention full']) {
      expect(lines[0]).toContain(word);
    }
  });

  test.each([
    [{ repair: '0' }, { mode: 'block' }],
    [{ repair: '0.3' }, { mode: 'block', repair: { share: 0.3, by: 'first' } }],
    [{ repair: '1' }, { mode: 'full' }],
    [{ attention: 'block' }, { mode: 'block', repair: { share: 0.15, by: 'first' } }],
  ])('gets what the operator says: %j', (flags, expected) => {
    const { attention, lines } = chosen(flags as Record<string, string>, STOCK);
    expect(attention).toEqual(expected);
    expect(lines).toHaveLength(1);
  });

  test('needs no warning under full attention', () => {
    expect(chosen({ attention: 'full' }, STOCK)).toEqual({ attention: { mode: 'full' }, lines: [] });
  });
});

test('a checkpoint that was trained for blocks gets them plain, without a line, unless the operator says otherwise', () => {
  expect(chosen({}, DISTILLED)).toEqual({ attention: { mode: 'block' }, lines: [] });
  expect(chosen({ repair: '0.05' }, DISTILLED).attention).toMatchObject({ repair: { share: 0.05 } });
});

test('one that was tuned under full attention keeps it; its blocks are repaired', () => {
  expect(chosen({}, TUNED_UNDER_FULL)).toEqual({ attention: { mode: 'full' }, lines: [] });
  const { attention, lines } = chosen({ attention: 'block' }, TUNED_UNDER_FULL);
  expect(attention).toMatchObject({ repair: { share: 0.15 } });
  expect(lines).toHaveLength(1);
});

test.each(['1.5', '-0.1', 'some', 'NaN'])('--repair %s is refused by name', (repair) => {
  expect(() => loadConfig({ repair }, {})).toThrow(/--repair.*neither auto nor a number from 0 to 1/);
});
