/**
 * Keeps Unicode at the versions inside the Python `tokenizers` library (0.23), whatever version Node has.
 * Character classes: Unicode 16; characters assigned later stand in as unassigned ones while matching.
 * Normalization: Unicode 9; characters that came later neither decompose, compose nor reorder.
 * Both are checked against the library, over all code points, by test/unit/text/unicode-pin.test.ts.
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

/** Characters that take part in normalization since a version later than 9. */
const INERT = new RegExp(
  `([${[
    String.raw`\u07FD\u0897-\u089F\u08CA-\u08D3\u09FE\u0C3C\u0D3B-\u0D3C\u0EBA\u1715\u1ABF-\u1ADD\u1AE0-\u1AEB`,
    String.raw`\u1DF6-\u1DFA\u32FF\uA7F1-\uA7F4\uA82C\uAB69\u{105C9}\u{105D2}\u{105DA}\u{105E4}\u{10781}-\u{10785}`,
    String.raw`\u{10787}-\u{107B0}\u{107B2}-\u{107BA}\u{10D24}-\u{10D27}\u{10D69}-\u{10D6D}\u{10EAB}-\u{10EAC}`,
    String.raw`\u{10EFA}-\u{10EFB}\u{10EFD}-\u{10EFF}\u{10F46}-\u{10F50}\u{10F82}-\u{10F85}\u{11070}\u{1133B}`,
    String.raw`\u{11382}-\u{11385}\u{1138B}\u{1138E}\u{11390}-\u{11391}\u{113B8}\u{113BB}\u{113C2}\u{113C5}`,
    String.raw`\u{113C7}-\u{113C9}\u{113CE}-\u{113D0}\u{1145E}\u{11839}-\u{1183A}\u{11930}\u{11935}\u{11938}`,
    String.raw`\u{1193D}-\u{1193E}\u{11943}\u{119E0}\u{11A34}\u{11A47}\u{11A99}\u{11D42}\u{11D44}-\u{11D45}`,
    String.raw`\u{11D97}\u{11F41}-\u{11F42}\u{1611E}-\u{16129}\u{1612F}\u{16D63}\u{16D67}-\u{16D6A}`,
    String.raw`\u{16FF0}-\u{16FF1}\u{1CCD6}-\u{1CCF9}\u{1E030}-\u{1E06D}\u{1E08F}\u{1E130}-\u{1E136}\u{1E2AE}`,
    String.raw`\u{1E2EC}-\u{1E2EF}\u{1E4EC}-\u{1E4EF}\u{1E5EE}-\u{1E5EF}\u{1E6E3}\u{1E6E6}\u{1E6EE}-\u{1E6EF}`,
    String.raw`\u{1E6F5}\u{1F16C}\u{1FBF0}-\u{1FBF9}`,
  ].join('')}]+)`,
  'u',
);

/** The text as a Unicode 16 engine classifies it, of the same length in UTF-16 units. */
export function pinUnicode(text: string): string {
  return text
    .replace(LATER, (character) => (character.length === 1 ? UNASSIGNED : UNASSIGNED_ASTRAL))
    .replace(RECLASSIFIED, LOWERCASE_LETTER);
}

/** The text in a normalization form as Unicode 9 defines it. */
export function normalizePinned(text: string, form: 'NFC' | 'NFD' | 'NFKC' | 'NFKD'): string {
  if (!INERT.test(text)) return text.normalize(form);
  return text
    .split(INERT)
    .map((part, index) => (index % 2 === 0 ? part.normalize(form) : part))
    .join('');
}
