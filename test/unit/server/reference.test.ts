/** The generated files equal the program's output: openapi/, and the reference parts of docs/. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PACKAGE_DIR, SETTINGS } from '../../../src/config.js';
import { ERRORS } from '../../../src/errors.js';
import { JSON_LIMITS } from '../../../src/server/json-measure.js';
import { renderOpenApi } from '../../../src/server/openapi-document.js';
import { referenceParts, withReference } from '../../../src/server/reference.js';
import { formatBytes } from '../../../src/units.js';

const read = (name: string) => readFileSync(join(PACKAGE_DIR, name), 'utf8');
const HINT = 'run npm run openapi';

describe('the documentation', () => {
  it('has the OpenAPI document that the routes give', async () => {
    expect(read('openapi/openapi.json') === (await renderOpenApi()), HINT).toBe(true);
  });

  it.each(['docs/api.md', 'docs/metrics.md', 'docs/settings.md'])(
    '%s has the errors, routes, settings and metrics that there are',
    async (name) => {
      const parts = await referenceParts(JSON.parse(await renderOpenApi()));
      const page = read(name);
      expect(page === withReference(page, parts), HINT).toBe(true);
    },
  );

  it('lists every error of the table with its status', () => {
    const page = read('docs/api.md');
    for (const [code, { status }] of Object.entries(ERRORS)) expect(page).toContain(`| \`${code}\` | ${status} |`);
  });

  it('lists every setting and every route', async () => {
    const settings = read('docs/settings.md');
    for (const { env } of Object.values(SETTINGS)) expect(settings).toContain(`| \`${env}\` |`);
    const { paths } = JSON.parse(await renderOpenApi()) as { paths: Record<string, object> };
    for (const [path, methods] of Object.entries(paths)) {
      for (const method of Object.keys(methods))
        expect(read('docs/api.md')).toContain(`### ${method.toUpperCase()} ${path}\n`);
    }
  });

  it('names the limits that hold', () => {
    const page = read('docs/api.md');
    const { maxBodyBytes, maxPromptBytes, maxDocumentBytes, maxDocuments, maxBlocks, maxTokens, maxQueue } = SETTINGS;
    for (const [words, flag] of [
      [formatBytes(maxBodyBytes.default), maxBodyBytes.flag],
      [`${formatBytes(maxPromptBytes.default)} of UTF-8`, maxPromptBytes.flag],
      [`${formatBytes(maxDocumentBytes.default)} of UTF-8`, maxDocumentBytes.flag],
      [maxDocuments.default, maxDocuments.flag],
      [maxBlocks.default, maxBlocks.flag],
      [maxTokens.default, maxTokens.flag],
      [maxQueue.default, maxQueue.flag],
    ]) {
      expect(page).toContain(`| ${words} | \`${flag}\` |`);
    }
    expect(page).toContain(`| ${JSON_LIMITS.depth} levels |`);
    expect(page).toContain(
      `${JSON_LIMITS.values.toLocaleString('en')}, and ${JSON_LIMITS.numbers.toLocaleString('en')}`,
    );
  });
});
