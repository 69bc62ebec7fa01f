import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LOWEST_ORDER, logitOf, orderOf } from '../../../../src/engine/sampling/token-order.js';

const logit = fc.float({ noNaN: true });

describe('the order of logits', () => {
  it('is that of their values, and gives them back', () => {
    fc.assert(
      fc.property(logit, logit, (one, other) => {
        expect(Math.sign(orderOf(one) - orderOf(other))).toBe(one === other ? 0 : one > other ? 1 : -1);
        expect(logitOf(orderOf(one))).toBe(one + 0);
      }),
    );
  });

  it('has both zeros in one place, and the infinities at its ends', () => {
    expect(orderOf(-0)).toBe(orderOf(0));
    expect(orderOf(Number.NEGATIVE_INFINITY)).toBe(LOWEST_ORDER);
    expect(orderOf(Number.POSITIVE_INFINITY)).toBe(-LOWEST_ORDER);
    expect(logitOf(LOWEST_ORDER)).toBe(Number.NEGATIVE_INFINITY);
  });
});
