/** What a text says stays the same whatever its notation, and places in it are found again in the original. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalText } from '../../../src/segment/canonical-text.js';
import { applyEdits } from '../../../src/segment/text-edits.js';
import { splitUnits } from '../../../src/segment/text-units.js';
import { NOTATIONS, type TalkTurn } from '../../support/transcript-notations.js';

const TALK: TalkTurn[] = [
  { speaker: 'Alice Smith', text: 'Good morning, shall we begin with the budget?' },
  { speaker: 'Bob Jones', text: 'Yes. We spent 12% less than planned, mostly on travel.' },
  { speaker: 'Alice Smith', text: 'Fine.' },
  { speaker: 'Carla', text: 'Then the new office: the lease ends at 10:30 on Monday, they said.' },
  { speaker: 'Bob Jones', text: 'Who told you so? I had hoped for a longer one.' },
  { speaker: 'Carla', text: 'The landlord.' },
];
const SAID = TALK.map(({ speaker, text }) => `${speaker}: ${text}\n`).join('');

const turns = fc.array(
  fc.record({
    speaker: fc.constantFrom('Alice Smith', 'Bob', 'Carla Diaz'),
    text: fc
      .array(fc.constantFrom('we', 'ship', 'on', 'Monday', 'the', 'red', 'crate', 'well'), {
        minLength: 1,
        maxLength: 12,
      })
      .map((words) => `${words.join(' ')}.`),
  }),
  { minLength: 1, maxLength: 12 },
);

describe('a talk', () => {
  it.each(Object.keys(NOTATIONS))('says the same in %s, and each turn begins where its notation does', (name) => {
    const { text, starts } = (NOTATIONS[name] as (typeof NOTATIONS)[string])(TALK);
    const canonical = canonicalText(text);
    expect(canonical.text.trimEnd()).toBe(SAID.trimEnd());
    expect(splitUnits(canonical.text).map(({ start }) => canonical.originalOf(start))).toEqual(starts);
  });

  it.each(Object.keys(NOTATIONS))('says the same in %s, whatever is said', (name) => {
    fc.assert(
      fc.property(turns, (talk) => {
        const { text, starts } = (NOTATIONS[name] as (typeof NOTATIONS)[string])(talk);
        const canonical = canonicalText(text);
        const said = talk.map(({ speaker, text: words }) => `${speaker}: ${words}\n`).join('');
        expect(canonical.text.trimEnd()).toBe(said.trimEnd());
        expect(splitUnits(canonical.text).map(({ start }) => canonical.originalOf(start))).toEqual(starts);
      }),
      { numRuns: 60 },
    );
  });

  it('says the same with the line ends of Windows, and behind a byte order mark', () => {
    for (const write of Object.values(NOTATIONS)) {
      const { text } = write(TALK);
      expect(canonicalText(`\uFEFF${text.replaceAll('\n', '\r\n')}`).text).toBe(canonicalText(text).text);
    }
  });

  it('goes on in the next cue where a cue ends in the middle of a sentence', () => {
    const text =
      'WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ann>So what I\n\n00:02.000 --> 00:03.000\n<v Ann>meant was this.\n\n00:03.000 --> 00:04.000\n<v Ben>I see.\n';
    expect(canonicalText(text).text).toBe('Ann: So what I meant was this.\nBen: I see.\n');
  });
});

describe('remnants of markup', () => {
  it.each([
    ['<p>One <b>two</b>.</p>\n<p>Three&nbsp;&amp; four.</p>\n', 'One two.\n\nThree & four.\n\n'],
    ['<div>\n<p>One.</p>\n</div>\n', 'One.\n\n\n'],
    ['One.<br>Two.<br/>\nThree.', 'One.\nTwo.\nThree.'],
    ['**Ann:** see [the page](https://x.org/a_b).', 'Ann: see the page.'],
    ['\uFEFFOne.\r\nTwo.\rThree.', 'One.\nTwo.\nThree.'],
    ['<!-- note -->One.', 'One.'],
  ])('go: %j', (text, said) => {
    expect(canonicalText(text).text).toBe(said);
  });

  it.each([
    'if (a < b && c > d) return a ** b;',
    'const list: Array<String> = new Map<Key, Value>();',
    'The shop opens at 10:30\nand closes at 6.',
    'Genesis 1:1\n\nIn the beginning',
    'a[0](x) * b',
    'def f(**options): pass',
  ])('are not seen in %j', (text) => {
    expect(canonicalText(text).text).toBe(text);
    expect(canonicalText(text).isEdited).toBe(false);
  });
});

describe('any text', () => {
  const pieces = fc.array(
    fc.constantFrom(
      '<p>',
      '</p>',
      '<br>',
      '\r\n',
      '\n',
      '\n\n',
      '10:30',
      'Ann: ',
      '<ann> ',
      '**',
      '1\n',
      ' --> ',
      '00:01',
      '[Ann] ',
      'word ',
      'End. ',
      '\uFEFF',
      '&amp;',
      '[a](/b)',
      'WEBVTT\n',
      '<v Ann>',
      '</v>',
      'From Ann to Ben: ',
      '  ',
    ),
    { maxLength: 60 },
  );

  it('keeps its places in order, from its beginning to its end', () => {
    fc.assert(
      fc.property(pieces, (parts) => {
        const text = parts.join('');
        const canonical = canonicalText(text);
        let last = 0;
        for (let at = 0; at <= canonical.text.length; at += 1) {
          const original = canonical.originalOf(at);
          expect(original).toBeGreaterThanOrEqual(last);
          last = original;
        }
        expect(last).toBe(text.length);
      }),
      { numRuns: 500 },
    );
  });

  it.each(['1\n00:00:01 --> 00:00:02\nword\n\n', '<p><b>', '**a', '[a](b', '10:30 Ann ', '<!--', '&amp', '12/31/24, '])(
    'is read however often it repeats %j',
    (part) => {
      const text = part.repeat(Math.ceil(400_000 / part.length));
      const canonical = canonicalText(text);
      expect(canonical.originalOf(canonical.text.length)).toBe(text.length);
    },
  );
});

describe('edits', () => {
  it('leave what stands between them, and find its places again', () => {
    const edited = applyEdits('0123456789', [
      { start: 2, end: 4, replacement: '' },
      { start: 6, end: 7, replacement: 'abc' },
    ]);
    expect(edited.text).toBe('0145abc789');
    expect([0, 1, 2, 3, 7, 9, 10].map(edited.originalOf)).toEqual([0, 1, 2, 5, 7, 9, 10]);
  });

  it('put a boundary before what is taken out, or behind it where it belongs before', () => {
    const at = (belongsBefore: boolean) =>
      applyEdits('a\n--b', [{ start: 2, end: 4, replacement: '', belongsBefore }]).originalOf(2);
    expect(at(false)).toBe(2);
    expect(at(true)).toBe(4);
  });
});
