/** The documentation holds together: links lead somewhere, every page is in the table of contents, alerts are explained. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { PACKAGE_DIR } from '../../src/config.js';

const read = (path: string) => readFileSync(join(PACKAGE_DIR, path), 'utf8');
const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'],
  ...readdirSync(join(PACKAGE_DIR, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];
/** Text without code: brackets in code are no links. */
const prose = (page: string) =>
  read(page)
    .replace(/^```[\s\S]*?^```/gm, '')
    .replace(/`[^`\n]*`/g, 'code');
/** Anchors of a page, as GitHub makes them. */
const anchors = (page: string) =>
  [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );

test.each(pages)('every link of %s leads to a file, and to a heading in it', (page) => {
  for (const [, target = ''] of prose(page).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : relative(PACKAGE_DIR, join(PACKAGE_DIR, dirname(page), path));
    expect(existsSync(join(PACKAGE_DIR, file)), `${page}: ${target}`).toBe(true);
    if (anchor !== undefined) expect(anchors(file), `${page}: ${target}`).toContain(anchor);
  }
});

test('pages of docs/ that are named in text are there', () => {
  for (const page of pages) {
    for (const [name] of read(page).matchAll(/\bdocs\/[\w/-]+\.md\b/g)) {
      if (name.includes('NNN')) continue;
      expect(existsSync(join(PACKAGE_DIR, name)), `${page}: ${name}`).toBe(true);
    }
  }
});

test('every page of docs/ is in its table of contents', () => {
  const contents = read('docs/README.md');
  const own = readdirSync(join(PACKAGE_DIR, 'docs')).filter((name) => name.endsWith('.md') && name !== 'README.md');
  for (const name of own) expect(contents, name).toContain(`](${name}`);
});

test('docs/metrics.md explains every alert with its severity', () => {
  const page = read('docs/metrics.md');
  const [rules] = parseAllDocuments(read('docker/prometheus/alerts.yaml')).map((document) => document.toJS());
  for (const { alert, labels, annotations } of rules.groups[0].rules) {
    expect(page).toContain(`| \`${alert}\` | ${labels.severity} | ${annotations.summary.replace(/\.$/, '')} |`);
  }
});
