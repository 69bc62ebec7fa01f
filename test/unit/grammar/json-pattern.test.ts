/** Patterns of JSON text: what they match is JSON, and its value fits the pattern that was given. */
import { describe, expect, test } from 'vitest';
import { PatternNotEnforceable, patternOfJsonText } from '../../../src/grammar/json-pattern.js';

/** All values of one or two characters out of those that matter to JSON and to patterns. */
const CHARACTERS = Array.from('a|b^$_9 "\\/\n\t\u0001\u007fé一😀');
const VALUES = ['', ...CHARACTERS, ...CHARACTERS.flatMap((one) => CHARACTERS.map((two) => one + two))];

/** The text between the quotes, as the grammar may write it. */
const between = (value: string) => JSON.stringify(value).slice(1, -1);

describe('a pattern of JSON text', () => {
  test.each([
    ...[
      '^a|b$',
      '^.{2}$',
      '^\\S+$',
      '^[^a]{1,2}$',
      '^"$',
      '^\\\\$',
      '^\\n\\t$',
      '^\\w\\W$',
      '^[ -~]*$',
      '^[à-ÿ一-龥]+$',
    ],
    ...[
      '^\\|b$',
      '^(?:a|"b)$',
      '^(?<name>a)\\d$',
      '^\\x61\\u0062$',
      '^\\u{1F600}$',
      '^\\uD83D\\uDE00$',
      '^[\\d_]\\D?$',
      '^[b\\-^]\\s$',
    ],
    ...['^\\$\\^$', '^a{2}$', '^a+?b?$', '^[^]$', '^\\/$', '^[\\b"]?$', ''],
  ])('%s takes the values that it takes', (pattern) => {
    const text = new RegExp(`^${patternOfJsonText(pattern)}$`, 'u');
    const given = new RegExp(`^(?:${pattern})$`, 'u');
    for (const value of VALUES) {
      // Control characters without a short escape are left out.
      if (value.includes('\u0001')) continue;
      expect([value, text.test(between(value))]).toEqual([value, given.test(value)]);
    }
  });

  test.each(['^.*$', '^[^a]+$', '^\\s\\S$', '^["\\\\\n]+$', '^[\\0-\\u{10ffff}]{1,2}$'])(
    '%s matches JSON only',
    (pattern) => {
      const text = new RegExp(`^${patternOfJsonText(pattern)}$`, 'u');
      const bare = VALUES.filter((each) => text.test(each));
      expect(bare.length).toBeGreaterThan(0);
      for (const each of bare) expect(() => JSON.parse(`"${each}"`)).not.toThrow();
    },
  );

  test.each([
    'a(?=b)',
    '(?<!a)b',
    '\\bab',
    '(a)\\1',
    '(?<n>a)\\k<n>',
    '\\p{L}',
    '[\\P{L}]',
    '(^a|b)',
    'a$b',
    '[]',
    '\\0',
  ])('%s cannot be enforced', (pattern) => {
    expect(() => new RegExp(pattern, 'u')).not.toThrow();
    expect(() => patternOfJsonText(pattern)).toThrow(PatternNotEnforceable);
  });
});
