/**
 * Holds character classes to Unicode 16, the version of the regex engine inside the Python `tokenizers` library
 * (0.23), whatever version this Node brings: characters assigned later stand in as unassigned ones while matching.
 * The list is checked against the library, over all code points, by test/unit/text/unicode-pin.test.ts.
 */

/** Assigned in Unicode 17; in 16 they have no category. */
const LATER = new RegExp(
  `[${[
    String.raw`\u088F\u0C5C\u0CDC\u1ACF-\u1ADD\u1AE0-\u1AEB\u20C1\u2B96\uA7CE\uA7CF\uA7D2\uA7D4\uA7F1\uFBC3-\uFBD2`,
    String.raw`\uFD90\uFD91\uFDC8-\uFDCE\u{10940}-\u{10959}\u{10EC5}-\u{10EC7}\u{10ED0}-\u{10ED8}\u{10EFA}\u{10EFB}`,
    String.raw`\u{11B60}-\u{11B67}\u{11DB0}-\u{11DDB}\u{11DE0}-\u{11DE9}\u{16EA0}-\u{16EB8}\u{16EBB}-\u{16ED3}`,
    String.raw`\u{16FF2}-\u{16FF6}\u{187F8}-\u{187FF}\u{18D09}-\u{18D1E}\u{18D80}-\u{18DF2}\u{1CCFA}-\u{1CCFC}`,
    String.raw`\u{1CEBA}-\u{1CED0}\u{1CEE0}-\u{1CEF0}\u{1E6C0}-\u{1E6DE}\u{1E6E0}-\u{1E6F5}\u{1E6FE}\u{1E6FF}`,
    String.raw`\u{1F6D8}\u{1F777}-\u{1F77A}\u{1F8D0}-\u{1F8D8}\u{1FA54}-\u{1FA57}\u{1FA8A}\u{1FA8E}\u{1FAC8}`,
    String.raw`\u{1FACD}\u{1FAEA}\u{1FAEF}\u{1FBFA}\u{2B73A}-\u{2B73F}\u{2CEA2}-\u{2CEAD}\u{323B0}-\u{33479}`,
  ].join('')}]`,
  'gu',
);
/** U+0295 became a letter without case in Unicode 17. */
const RECLASSIFIED = /\u0295/g;
const UNASSIGNED = '\u0378';
const UNASSIGNED_ASTRAL = '\u{1FFFE}';
const LOWERCASE_LETTER = '\u0250';

/** The text as a Unicode 16 engine classifies it, of the same length in UTF-16 units. */
export function pinUnicode(text: string): string {
  return text
    .replace(LATER, (character) => (character.length === 1 ? UNASSIGNED : UNASSIGNED_ASTRAL))
    .replace(RECLASSIFIED, LOWERCASE_LETTER);
}
