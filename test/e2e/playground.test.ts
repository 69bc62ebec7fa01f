/** The playground in a browser, against the served demo model: what somebody does there, from the first document to the code. */
import { spawn, spawnSync } from 'node:child_process';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { CHROMIUM, dropFiles, openBrowser, pdfOf } from '../support/browser.js';
import { type DemoServer, pythonWithRequirements, startDemoServer } from '../support/demo-server.js';
import { ANSWER, FILES, PlaygroundPage, QUESTION, sample } from '../support/playground-page.js';

let demo: DemoServer;
let browser: Browser;
let play: PlaygroundPage;
let page: Page;

async function open(options: BrowserContextOptions = {}): Promise<void> {
  play = await PlaygroundPage.open(browser, demo.url, options);
  page = play.page;
}

if (CHROMIUM === undefined) console.warn('tests of the playground are left out: there is no Chromium (make browser)');

describe.skipIf(CHROMIUM === undefined)('the playground', () => {
  beforeAll(async () => {
    [demo, browser] = await Promise.all([startDemoServer(), openBrowser()]);
  });
  afterEach(async () => {
    await play.close();
    await demo.idle();
    expect(play.faults).toEqual([]);
  });
  afterAll(async () => {
    await browser?.close();
    await demo?.close();
  });

  test('drop, recut, reorder, ask, compare', async () => {
    await open();
    await dropFiles(page, FILES);
    await play.summaryIs('8 blocks');
    expect(await play.texts('.card-name')).toEqual(FILES.map(({ name }) => name));
    expect(await page.locator('.block.is-miss').count()).toBe(8);
    expect((await play.texts('.block-facts')).every((facts) => /^\d+ tokens?not cached$/.test(facts))).toBe(true);

    // Finer: blocks come, with boundaries between them that say how strong they are. Then back.
    await page.locator('#granularity').fill('0');
    await page.locator('.boundary').nth(4).waitFor();
    expect(await page.locator('.block').count()).toBeGreaterThan(12);
    expect((await play.texts('.boundary-score')).every((score) => /^boundary [01]\.\d\d$/.test(score))).toBe(true);
    expect(await page.getAttribute('#granularity', 'aria-valuetext')).toMatch(/granularity 0, \d+ tokens a block/);
    await page.click('#granularity-default');
    await play.summaryIs('8 blocks');

    // Another order, by the arrows and by dragging.
    await page.click('[aria-label="Move document-1.txt down"]');
    expect((await play.order()).slice(0, 3)).toEqual(['document-2.txt', 'document-1.txt', 'document-3.txt']);
    const grip = await page.locator('.order-row', { hasText: 'document-8.txt' }).boundingBox();
    const first = await page.locator('.order-row').first().boundingBox();
    if (grip === null || first === null) throw new Error('the rows are not shown');
    await page.mouse.move(grip.x + 100, grip.y + grip.height / 2);
    await page.mouse.down();
    await page.mouse.move(first.x + 100, first.y + 4, { steps: 12 });
    await page.mouse.up();
    expect((await play.order())[0]).toBe('document-8.txt');
    expect(await play.texts('.card-name')).toEqual(await play.order());

    // Cold: the answer comes in pieces; then every block is cached.
    await page.evaluate(`{
      window.seen = new Set();
      new MutationObserver(() => window.seen.add(document.querySelector('.run-text')?.textContent))
        .observe(document.querySelector('#runs'), { subtree: true, childList: true, characterData: true });
    }`);
    await play.ask(QUESTION, 1);
    expect(await play.texts('.run-text')).toEqual([ANSWER]);
    expect(await page.evaluate('window.seen.size')).toBeGreaterThan(3);
    expect(await play.texts('.run-label')).toEqual(['Cold']);
    expect((await play.texts('.run-facts'))[0]).toMatch(/^(\d+) of \1 prompt tokens computed · 0 of 8 blocks cached$/);
    await play.summaryIs('8 cached');
    expect(await play.texts('.block-facts .tier')).toEqual(FILES.map(() => 'pool'));

    // Moved: the same blocks, found again.
    await page.click('[aria-label="Move document-8.txt down"]');
    await play.ask(QUESTION, 2);
    expect(await play.texts('.run-label')).toEqual(['Cold', 'Cached, reordered']);
    expect((await play.texts('.run-facts'))[1]).toMatch(/^\d\d? of \d+ prompt tokens computed · 8 of 8 blocks cached$/);
    await page.locator('.run').nth(1).locator('summary').click();
    const rows = await page.locator('.run').nth(1).locator('tbody tr').allInnerTexts();
    expect(rows.map((row) => row.split('\t')[0])).toEqual(await play.order());
    expect(rows[0]).toMatch(/\tZesuni is hosted.*\t\d+\tpool$/);

    // Four ways, with blocks that are gone afterwards.
    const before = await demo.services.engine.statistics();
    await page.click('#compare');
    await play.answered(4);
    expect(await play.texts('.run-label')).toEqual(['Cold', 'Cached', 'Cached, reordered', 'Full attention']);
    expect(new Set(await play.texts('.run-text'))).toEqual(new Set([ANSWER]));
    const computed = (await play.texts('.run-facts')).map((facts) => facts.split(' prompt tokens')[0]);
    expect(computed[0]).toMatch(/^(\d+) of \1$/);
    expect(computed[1]).toMatch(/^\d\d? of \d+$/);
    expect(computed[2]).toBe(computed[1]);
    expect(computed[3]).toMatch(/^(\d+) of \1$/);
    expect((await play.texts('.run-ttft')).every((figure) => /^[\d.,]+ m?s$/.test(figure))).toBe(true);
    expect(await page.textContent('#verdict')).toMatch(/Cold, cached and reordered blocks gave the same answer\.$/);
    expect((await demo.services.engine.statistics()).pool.cachedBlocks).toBe(before.pool.cachedBlocks);
  });

  test('a newer cut ends the older one', async () => {
    await open();
    let isFirst = true;
    await page.route('**/v1/segment', (route) => {
      if (!isFirst) return route.continue();
      isFirst = false;
    });
    const [held] = await Promise.all([page.waitForRequest('**/v1/segment'), dropFiles(page, [sample(1)])]);
    const [ended] = await Promise.all([
      page.waitForEvent('requestfailed', (request) => request === held),
      page.locator('#granularity').fill('1'),
    ]);
    expect(ended.failure()?.errorText).toBe('net::ERR_ABORTED');
    await play.summaryIs('1 block');
  });

  test('an answer can be stopped, and the server goes on', async () => {
    await open();
    await page.route('**/v1/chat/completions', () => undefined);
    await page.fill('#question', QUESTION);
    await page.click('#ask');
    await page.click('#stop');
    await page.locator('.run[data-state=stopped]').waitFor();
    await page.unroute('**/v1/chat/completions');
    await play.ask(QUESTION, 1);
    expect((await play.texts('.run-label'))[1]).toBe('Without documents');
  });

  test('a comparison that is stopped leaves no block behind', async () => {
    await open();
    await dropFiles(page, FILES);
    await play.summaryIs('8 blocks');
    const before = await demo.services.engine.statistics();
    // The first request warms up, the second is the cold one; the third never gets through.
    let requests = 0;
    await page.route('**/v1/chat/completions', (route) => {
      requests += 1;
      if (requests < 3) return route.continue();
    });
    await page.fill('#question', QUESTION);
    await page.click('#compare');
    await page.locator('.run').nth(1).waitFor();
    expect((await demo.services.engine.statistics()).pool.cachedBlocks).toBeGreaterThan(before.pool.cachedBlocks);
    await page.click('#stop');
    await page.locator('#ask:enabled').waitFor();
    expect(await play.texts('.run-label')).toEqual(['Cold', 'Cached']);
    expect((await demo.services.engine.statistics()).pool.cachedBlocks).toBe(before.pool.cachedBlocks);
  });

  test('a server that still loads its model is asked again, and cuts what came meanwhile', async () => {
    await open();
    const loading = { message: 'The server is not ready: loading.', code: 'not_ready', param: null, remedy: 'Wait.' };
    await page.route('**/v1/**', (route) => route.fulfill({ status: 503, json: { error: loading } }));
    await page.reload();
    await play.serves('The server is not ready: loading.');
    await dropFiles(page, [sample(1)]);
    await page.locator('.card-error', { hasText: 'not ready' }).waitFor();
    await page.unroute('**/v1/**');
    await play.serves('demo');
    await play.summaryIs('1 block');
    expect(await play.texts('.card-error p')).toEqual([]);
  });

  test('the code asks the same again', async () => {
    await open();
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.click('#samples');
    await play.summaryIs('8 blocks');
    await page.click('.suggestion');
    await play.ask(await page.inputValue('#question'), 1);
    await page.click('#copy');
    const shell = (await page.evaluate('navigator.clipboard.readText()')) as string;
    expect(shell).toBe(await page.textContent('#snippet'));
    if (spawnSync('sh', ['-c', 'command -v curl']).status === 0) {
      const { stdout } = await run('sh', shell);
      const pieces = [...stdout.matchAll(/"content":("[^"]*")/g)].map(
        ([, piece = '""']) => JSON.parse(piece) as string,
      );
      expect([pieces.join(''), stdout.trim().split('\n').at(-1)]).toEqual([ANSWER, 'data: [DONE]']);
    }

    await page.focus('#tab-curl');
    await page.keyboard.press('ArrowRight');
    expect(await page.getAttribute('#tab-python', 'aria-selected')).toBe('true');
    const python = pythonWithRequirements();
    if (python === undefined) return;
    const told = await run(python, (await page.textContent('#snippet')) ?? '');
    expect(told.stdout).toMatch(new RegExp(`^${ANSWER}\\n\\d+ of \\d+ prompt tokens were cached\\n$`));
  });

  test('HTML and PDF become the text that one reads', async () => {
    await open();
    const html =
      '<html><head><title>No</title><style>p{}</style></head><body><nav>No</nav><h2>Kettle &amp; co</h2><p>It <b>boils</b>\nwater.</p>' +
      '<ul><li>one</li><li>two</li></ul><script>window.ran = 1</script><img src=x onerror="window.ran = 1"></body></html>';
    await dropFiles(page, [
      { name: 'page.html', bytes: html },
      { name: 'sheet.pdf', bytes: pdfOf(['Sokano has an office', 'in (Sisula).', '', 'It dates back to 1870.']) },
      { name: 'latin.txt', bytes: Uint8Array.from([...Buffer.from('caf'), 0xe9]) },
    ]);
    await play.summaryIs('3 blocks');
    for (const button of await page.locator('.card-text').all()) await button.click();
    expect(await play.texts('.card-text[aria-expanded=true]')).toHaveLength(3);
    expect(await play.texts('.block-text')).toEqual([
      '## Kettle & co\n\nIt boils water.\n\n- one\n\n- two',
      'Sokano has an office\nin (Sisula).\n\nIt dates back to 1870.',
      'café',
    ]);
    // The policy names what it kept from running in the file.
    expect(await page.evaluate('window.ran')).toBeUndefined();
    play.faults = play.faults.filter((fault) => !/inline (style|event handler) violates/.test(fault));
  });

  test('a text can be pasted; its first line is its name', async () => {
    await open();
    await page.click('#paste-button');
    await page.keyboard.type('# Fairs\nGenado opens in November.');
    await page.click('#paste-form [type=submit]');
    await play.summaryIs('1 block');
    expect([await play.texts('.card-name'), await play.texts('.block-text')]).toEqual([
      ['Fairs'],
      ['# Fairs\nGenado opens in November.'],
    ]);
    expect(await page.locator('#paste-form').isVisible()).toBe(false);
  });

  test('what cannot be read is named, in place', async () => {
    await open();
    await dropFiles(page, [
      { name: 'picture.png', bytes: Uint8Array.from([137, 80, 78, 71, 0, 0]) },
      { name: 'empty.txt', bytes: ' \n' },
      { name: 'broken.pdf', bytes: 'not a PDF' },
      { name: 'scan.pdf', bytes: pdfOf([]) },
      sample(1),
    ]);
    await page.locator('#drop-errors p').nth(3).waitFor();
    expect(await play.texts('#drop-errors p')).toEqual([
      'picture.png cannot be read. It is not a text. The page reads text, Markdown, HTML and PDF.',
      'empty.txt cannot be read. It is empty.',
      expect.stringMatching(/^broken\.pdf cannot be read\. \S/),
      'scan.pdf cannot be read. It has no text; a scanned page is a picture.',
    ]);
    expect(await play.texts('.card-name')).toEqual(['document-1.txt']);
    await page.click('.card-remove');
    expect(await page.locator('#intro').isVisible()).toBe(true);
  });
});

describe.skipIf(CHROMIUM === undefined)('the playground of a server with keys and small limits', () => {
  beforeAll(async () => {
    const limits = { maxDocumentBytes: '1KiB', apiKeys: 'key-of-alice', maxTokens: 32 };
    [demo, browser] = await Promise.all([startDemoServer(limits), openBrowser()]);
  });
  afterEach(async () => {
    await play.close();
    expect(play.faults).toEqual([]);
  });
  afterAll(async () => {
    await browser?.close();
    await demo?.close();
  });

  const useKey = async (key: string) => {
    await page.fill('#key', key);
    await page.click('#key-form button');
  };

  test('the page is public; it asks for the key, keeps it for the tab, and puts it into no address', async () => {
    await open();
    const urls: string[] = [];
    page.on('request', (request) => urls.push(request.url()));
    await page.locator('#key-form:visible').waitFor();
    expect(await page.textContent('#served')).toBe('No valid API key was given.');
    await useKey('key-of-nobody');
    await page.locator('#key-reason', { hasText: 'This key is not taken.' }).waitFor();
    await dropFiles(page, [sample(1)]);
    await page.locator('.card-error .error-remedy', { hasText: 'Authorization: Bearer' }).waitFor();
    await useKey('key-of-alice');
    await play.serves('demo');
    await play.summaryIs('1 block');
    await page.fill('#max-tokens', '16');
    await play.ask(QUESTION, 1);
    expect(await page.textContent('#snippet')).toContain('Bearer $BLOCKSTITCH_API_KEY');
    expect(await page.content()).not.toContain('key-of-alice');
    await page.reload();
    await play.serves('demo');
    expect(urls.filter((url) => url.includes('key-of'))).toEqual([]);
    expect(await page.evaluate('[localStorage.length, document.cookie]')).toEqual([0, '']);
  });

  test("what the server refuses is said where it happened, in the server's words", async () => {
    await open();
    await page.locator('#key-form:visible').waitFor();
    await useKey('key-of-alice');
    await play.serves('demo');
    await dropFiles(page, [{ name: 'long.txt', bytes: 'Genado opens in November. '.repeat(60) }]);
    await page.locator('.card-error p').nth(1).waitFor();
    expect(await play.texts('.card-error p')).toEqual([
      expect.stringMatching(/^`?text`? has 1\.5 KiB, more than the limit of 1 KiB\.$/),
      'Send less; the limit is set by --max-document.',
    ]);
    await page.click('.card-remove');
    await page.fill('#question', QUESTION);
    await page.click('#ask');
    await page.locator('.run[data-state=failed]').waitFor();
    expect(await play.texts('.run-error .error-message')).toEqual([expect.stringContaining('max_tokens')]);
    await page.fill('#max-tokens', '8');
    await page.route('**/v1/chat/completions', (route) => route.abort());
    await page.click('#ask');
    await page.locator('.run-error', { hasText: 'The server cannot be reached.' }).waitFor();
  });
});

/** Runs a program on its standard input. */
async function run(command: string, input: string): Promise<{ stdout: string }> {
  const child = spawn(command, command === 'sh' ? [] : ['-'], { stdio: ['pipe', 'pipe', 'inherit'] });
  let stdout = '';
  child.stdout.on('data', (bytes: Buffer) => {
    stdout += bytes.toString();
  });
  child.stdin.end(input);
  const status = await new Promise((resolve) => child.once('close', resolve));
  expect(status).toBe(0);
  return { stdout };
}
