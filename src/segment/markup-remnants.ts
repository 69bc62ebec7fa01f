/**
 * What files leave in a text beside what is said: byte order marks, old line ends, HTML tags and entities, Markdown
 * emphasis and link targets. Gives the edits that take them out. Tags that part blocks become line breaks.
 * Each edit looks at the characters around it alone.
 */
import type { TextEdit } from './text-edits.js';

const BREAKING = 'p|h[1-6]|ul|ol|dl|table|blockquote|pre|section|article';
const LINES = 'br|hr|div|li|tr|dt|dd|thead|tbody|head|body|html|title|form|nav|header|footer|main|option';
const INLINE =
  'a|abbr|b|big|center|cite|code|del|em|font|i|img|ins|kbd|label|mark|q|s|small|span|strong|sub|sup|td|th|tt|u|var|wbr';
/** Groups: closing slash, tag that parts paragraphs, tag that parts lines, entity, emphasis, link target. */
const REMNANT = new RegExp(
  `\\uFEFF|\\r\\n?|<!--[^>\\n]{0,400}-->|<(/?)(?:(${BREAKING})|(${LINES})|(?:${INLINE}))(?:\\s[^<>\\n]{0,400})?/?>` +
    '|&(nbsp|amp|lt|gt|quot|apos|#39|#160);' +
    '|(\\*\\*)' +
    '|(\\[(?=[^[\\]\\n]{1,200}\\]\\((?:https?:|mailto:|[./#])[^()\\s]{0,400}\\))|\\]\\((?:https?:|mailto:|[./#])[^()\\s]{0,400}\\))',
  'giu',
);
const QUICK = /[\uFEFF\r*]|<[!/a-z]|&[a-z#]|\]\(/i;
const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", '#39': "'" };

/** @returns edits in order; none for a text without remnants */
export function markupRemnants(text: string): TextEdit[] {
  if (!QUICK.test(text)) return [];
  const edits: TextEdit[] = [];
  for (const found of text.matchAll(REMNANT)) {
    const start = found.index;
    // An opening tag has taken its line break with it.
    if (start < (edits.at(-1)?.end ?? 0)) continue;
    const end = start + found[0].length;
    const [whole, slash, breaking, line, entity, emphasis] = found;
    const last = edits.at(-1);
    const follows = last?.end === start && last.replacement.endsWith('\n');
    const add = (replacement: string) => edits.push({ start, end, replacement });
    if (whole === '\r\n') edits.push({ start, end: start + 1, replacement: '' });
    else if (whole === '\r') add('\n');
    else if (slash && breaking) add(endsLine(text, end) ? '\n' : '\n\n');
    else if ((slash && line) || /^br$/i.test(line ?? '')) add(endsLine(text, end) ? '' : '\n');
    else if (breaking || line) {
      const opens = beginsLine(text, start) || follows;
      // A tag alone on its line belongs to the line below.
      const stop = opens ? lineBreakBehind(text, end) : end;
      edits.push({ start, end: stop, replacement: opens ? '' : '\n' });
    } else if (entity) add(ENTITIES[entity.toLowerCase()] ?? ' ');
    else if (emphasis && !hugsWord(text, start, end)) continue;
    else add('');
  }
  return edits;
}

/** Whether two stars stand at the edge of a word: they are no operator then. */
function hugsWord(text: string, start: number, end: number): boolean {
  const before = /[\p{L}\p{N}\p{P}]/u.test(text[start - 1] ?? '') && text[start - 1] !== '*';
  const behind = /[\p{L}\p{N}\p{P}]/u.test(text[end] ?? '') && text[end] !== '*';
  return before !== behind || (before && /[:.,!?)]/.test(text[end] ?? ''));
}

/** @returns where the next line begins, if nothing else is on this one; else `from` */
function lineBreakBehind(text: string, from: number): number {
  let at = from;
  while (text[at] === ' ' || text[at] === '\t' || text[at] === '\r') at += 1;
  return text[at] === '\n' ? at + 1 : from;
}

function endsLine(text: string, from: number): boolean {
  let at = from;
  while (text[at] === ' ' || text[at] === '\t' || text[at] === '\r') at += 1;
  return at >= text.length || text[at] === '\n';
}

function beginsLine(text: string, to: number): boolean {
  let at = to;
  while (' \t\uFEFF'.includes(text[at - 1] ?? '\n')) at -= 1;
  return at === 0 || text[at - 1] === '\n';
}
