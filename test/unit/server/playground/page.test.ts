/** The playground as it is served: its policy, what it may load, how it is switched off, and what it knows of the wire. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Static } from '@fastify/type-provider-typebox';
import { describe, expect, expectTypeOf, test } from 'vitest';
import type * as page from '../../../../src/server/playground/page/wire.js';
import { PAGE_DIR } from '../../../../src/server/playground/playground.js';
import type { ChatBody } from '../../../../src/server/schemas/chat-schema.js';
import type { SegmentAnswerSchema, SegmentBodySchema } from '../../../../src/server/schemas/document-schema.js';
import type { Report, Usage } from '../../../../src/server/schemas/usage-schema.js';
import { fakeApp } from '../../../support/fake-services.js';

const files = readdirSync(PAGE_DIR).filter((name) => /\.(html|css|js|svg)$/.test(name));
const read = (name: string) => readFileSync(join(PAGE_DIR, name), 'utf8');

describe('the page at /', () => {
  test('is served with a policy that allows nothing inline and nobody else', async () => {
    const { app } = await fakeApp();
    for (const [url, type] of [
      ['/', 'text/html'],
      ['/playground/main.js', 'javascript'],
      ['/playground/base.css', 'text/css'],
      ['/playground/pdfjs/pdf.min.mjs', 'javascript'],
    ] as const) {
      const { statusCode, headers } = await app.inject(url);
      expect([url, statusCode, headers['content-type']]).toEqual([url, 200, expect.stringContaining(type)]);
      const policy = String(headers['content-security-policy']);
      expect(policy).toMatch(/default-src 'none'; script-src 'self'; style-src 'self';/);
      expect(policy).toContain("connect-src 'self'");
      expect(policy).not.toMatch(/unsafe|\*|https?:/);
    }
  });

  test('is public on a server with keys, and gives no answer of the API away', async () => {
    const { app } = await fakeApp({ apiKeys: ['alice'] });
    expect((await app.inject('/')).statusCode).toBe(200);
    expect((await app.inject('/playground/samples.json')).statusCode).toBe(200);
    expect((await app.inject('/v1/models')).statusCode).toBe(401);
  });

  test('has the samples of the served model, with their questions', async () => {
    const { app } = await fakeApp();
    const { documents, questions } = (await app.inject('/playground/samples.json')).json<page.Samples>();
    expect(documents).toHaveLength(8);
    expect(documents[0]).toEqual({ name: 'document-1.txt', text: expect.stringMatching(/^Mokagi has a home/) });
    expect(questions[0]).toBe('In which month does Genado open?');
  });

  test('is not there with --playground off; the rest of the server is', async () => {
    const { app } = await fakeApp({ playground: 'off' });
    for (const url of ['/', '/playground/main.js', '/playground/samples.json']) {
      expect((await app.inject(url)).json()).toMatchObject({ error: { code: 'route_not_found' } });
    }
    expect((await app.inject('/docs')).statusCode).toBe(200);
  });

  test('answers what it does not have, or does not take, as every route does', async () => {
    const { app } = await fakeApp();
    for (const url of ['/playground/none.js', '/playground/..%2f..%2fapp.js', '/playground/']) {
      expect([url, (await app.inject(url)).json().error?.code]).toEqual([url, 'route_not_found']);
    }
    const posted = await app.inject({ method: 'POST', url: '/' });
    expect([posted.statusCode, posted.headers['allow']]).toEqual([405, 'GET, HEAD']);
  });

  test('is no part of the API: OpenAPI does not list it', async () => {
    const { app } = await fakeApp();
    const { paths } = (await app.inject('/openapi.json')).json<{ paths: object }>();
    expect(Object.keys(paths).filter((path) => !path.startsWith('/v1'))).not.toContain('/');
    expect(JSON.stringify(paths)).not.toContain('playground');
  });
});

describe('its files', () => {
  test('have no script or style inline, and name no other server', () => {
    const html = read('index.html');
    expect(html).not.toMatch(/<style|\sstyle=|\son[a-z]+=|javascript:/i);
    expect([...html.matchAll(/<script([^>]*)>([^<]*)/g)].map(([, tag, body]) => [tag, body])).toEqual([
      [' type="module" src="playground/main.js"', ''],
    ]);
    for (const name of files) {
      const foreign =
        read(name)
          .match(/(https?:)?\/\/[a-z0-9.-]+\.[a-z]+/gi)
          ?.filter((each) => !each.includes('www.w3.org')) ?? [];
      expect([name, foreign]).toEqual([name, []]);
    }
  });

  test('never make markup or script of text', () => {
    for (const name of files.filter((each) => each.endsWith('.js'))) {
      expect([
        name,
        read(name).match(/innerHTML|outerHTML|insertAdjacentHTML|\beval\(|new Function|document\.write/g),
      ]).toEqual([name, null]);
    }
  });

  test('have every part that the modules look for', () => {
    const html = read('index.html');
    const wanted = files
      .filter((name) => name.endsWith('.js'))
      .flatMap((name) => [...read(name).matchAll(/(?:find\(document, '#|part\(')([a-z-]+)'/g)].map(([, id]) => id));
    expect(wanted.length).toBeGreaterThan(20);
    expect(wanted.filter((id) => !html.includes(`id="${id}"`))).toEqual([]);
  });

  test('are preloaded side by side, all of them', () => {
    const preloaded = [...read('index.html').matchAll(/modulepreload" href="playground\/([a-z-]+\.js)"/g)].map(
      ([, name]) => name,
    );
    const modules = files.filter((name) => /import|class|function|const/.test(read(name)) && name.endsWith('.js'));
    expect([...preloaded, 'main.js'].sort()).toEqual(modules.sort());
  });

  test('are under 150 kB of script together, without pdf.js', () => {
    const bytes = files
      .filter((name) => name.endsWith('.js'))
      .reduce((sum, name) => sum + Buffer.byteLength(read(name)), 0);
    expect(bytes).toBeLessThan(150_000);
  });
});

test('the page knows the wire as the server has it', () => {
  expectTypeOf<Report>().toExtend<page.Report>();
  expectTypeOf<Usage>().toExtend<page.Usage>();
  expectTypeOf<Static<typeof SegmentAnswerSchema>>().toExtend<page.CutAnswer>();
  expectTypeOf<page.ChatBody>().toExtend<ChatBody>();
  expectTypeOf<{ text: string; include_cache: true }>().toExtend<Static<typeof SegmentBodySchema>>();
});
