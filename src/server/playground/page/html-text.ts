/**
 * HTML to plain text: what a reader sees, one paragraph a line, headings and list items marked as in Markdown, so that the
 * segmenter knows them. The file's scripts do not run and its pictures are not loaded.
 */
import { trusted } from './trusted.js';

/** Not read: no text of the document. */
const LEFT_OUT = 'script, style, noscript, template, nav, svg, canvas, iframe, head, [hidden]';
/** They stand on lines of their own. */
const ON_LINES = new Set(
  'ADDRESS ARTICLE ASIDE BLOCKQUOTE DD DETAILS DIV DL DT FIGCAPTION FIGURE FOOTER FORM H1 H2 H3 H4 H5 H6 HEADER HR LI MAIN OL P PRE SECTION SUMMARY TABLE TR UL'.split(
    ' ',
  ),
);

export function htmlText(html: string): string {
  const { body } = new DOMParser().parseFromString(trusted.createHTML(html), 'text/html');
  for (const node of body.querySelectorAll(LEFT_OUT)) node.remove();
  const parts: string[] = [];
  write(body, parts);
  return parts
    .join('')
    .replace(/[ \t]+\n/g, '\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim();
}

function write(node: Node, parts: string[]): void {
  for (const child of node.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) {
      const isKept = child.parentElement?.closest('pre') !== null;
      parts.push(isKept ? (child.nodeValue ?? '') : (child.nodeValue ?? '').replace(/\s+/g, ' '));
    } else if (child instanceof Element) writeElement(child, parts);
  }
}

function writeElement(element: Element, parts: string[]): void {
  const name = element.tagName;
  if (name === 'BR') {
    parts.push('\n');
    return;
  }
  const level = /^H([1-6])$/.exec(name)?.[1];
  const isLine = ON_LINES.has(name);
  if (isLine) parts.push(name === 'LI' || name === 'TR' || name === 'DD' ? '\n' : '\n\n');
  if (level !== undefined) parts.push(`${'#'.repeat(Number(level))} `);
  if (name === 'LI') parts.push('- ');
  write(element, parts);
  if (name === 'TD' || name === 'TH') parts.push('\t');
  if (isLine) parts.push(level !== undefined || name === 'LI' ? '\n' : '\n\n');
}
