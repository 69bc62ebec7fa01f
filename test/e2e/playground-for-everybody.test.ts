/** The playground for everybody: light and dark, phones, keyboards, screen readers, slow lines. */
import axe, { type AxeResults } from 'axe-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { CHROMIUM, dropFiles, openBrowser } from '../support/browser.js';
import { type DemoServer, startDemoServer } from '../support/demo-server.js';
import { FILES, PlaygroundPage, QUESTION } from '../support/playground-page.js';

let demo: DemoServer;
let browser: Browser;
let play: PlaygroundPage;
let page: Page;

async function open(options: BrowserContextOptions = {}): Promise<void> {
  play = await PlaygroundPage.open(browser, demo.url, options);
  page = play.page;
}

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

  /** Rules of WCAG 2.2 A and AA and best practice that the page breaks badly. */
  async function seriousFaults(): Promise<string[]> {
    await page.evaluate(axe.source);
    const { violations } = (await page.evaluate('axe.run()')) as AxeResults;
    const bad = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
    return bad.flatMap(({ id, nodes }) => nodes.map(({ html, any }) => `${id}: ${html} ${any[0]?.message ?? ''}`));
  }

  test.each([
    ['light', { colorScheme: 'light' }],
    ['dark', { colorScheme: 'dark' }],
    ['phone', { colorScheme: 'light', viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }],
    ['a narrow phone in the dark', { colorScheme: 'dark', viewport: { width: 320, height: 640 } }],
  ] as [string, BrowserContextOptions][])(
    '%s: no serious fault, and nothing beyond the edge',
    async (_name, options) => {
      await open({ reducedMotion: 'reduce', ...options });
      await play.serves('demo');
      await page.locator('#samples:visible').waitFor();
      expect(await seriousFaults()).toEqual([]);
      await page.click('#paste-button');
      await page.click('#key-button');
      await dropFiles(page, [...FILES, { name: 'empty.txt', bytes: '' }]);
      await play.summaryIs('8 blocks');
      await page.locator('#granularity').fill('0');
      await page.locator('.boundary').nth(4).waitFor();
      await play.ask(QUESTION, 1);
      await page.click('#compare');
      await play.answered(4);
      for (const summary of await page.locator('.run summary').all()) await summary.click();
      expect(await seriousFaults()).toEqual([]);
      const [inside, outside] = (await page.evaluate('[document.documentElement.scrollWidth, innerWidth]')) as number[];
      expect(inside).toBeLessThanOrEqual(outside as number);
    },
  );

  test('all of it works by keyboard, and is told to those who do not see it', async () => {
    await open();
    const live = (words: string | RegExp) => page.locator('#live', { hasText: words }).waitFor();
    await page.locator('#samples:visible').waitFor();
    const focused = async () => (await page.evaluate('document.activeElement.id')) as string;
    for (let presses = 0; presses < 8 && (await focused()) !== 'samples'; presses += 1)
      await page.keyboard.press('Tab');
    expect(await focused()).toBe('samples');
    await page.keyboard.press('Enter');
    await live('8 documents added.');
    // The question has the focus now; the list of documents stands before it.
    expect(await focused()).toBe('question');
    await play.summaryIs('8 blocks');
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Shift+Tab');
    const last = '[aria-label="Move document-8.txt up"]';
    expect(await page.evaluate('document.activeElement.ariaLabel')).toBe('Move document-8.txt up');
    await page.keyboard.press('Enter');
    await live('document-8.txt is now 7 of 8.');
    // The focus stays with the document that moves, up to its end.
    for (let at = 6; at >= 1; at -= 1) {
      await page.keyboard.press('Enter');
      await live(`document-8.txt is now ${at} of 8.`);
    }
    expect(await page.isDisabled(last)).toBe(true);
    expect(await page.evaluate('document.activeElement.ariaLabel')).toBe('Move document-8.txt down');
    await page.focus('#granularity');
    await page.keyboard.press('Home');
    await live(/^The documents are now cut into \d+ blocks\.$/);
    await page.focus('#question');
    await page.keyboard.type(QUESTION);
    await page.keyboard.press('Enter');
    await live(
      /^[A-Z][a-z, ]+: first token after .*, \d+ of \d+ prompt tokens computed.* The answer: Genado opens in November\.$/,
    );
  });

  test('a finger drags a document by its grip, which scrolls nothing', async () => {
    await open({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    await dropFiles(page, FILES.slice(0, 3));
    await play.summaryIs('3 blocks');
    await page.evaluate("document.querySelector('#prompt').scrollIntoView()");
    const boxes = await Promise.all([0, 2].map((row) => page.locator('.grip').nth(row).boundingBox()));
    const [from, to] = boxes.map((box) =>
      box === null ? { x: 0, y: 0 } : { x: box.x + 6, y: box.y + box.height - 4 },
    );
    if (from === undefined || to === undefined) throw new Error('the rows are not shown');
    const finger = await page.context().newCDPSession(page);
    const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', touchPoints: { x: number; y: number }[]) =>
      finger.send('Input.dispatchTouchEvent', { type, touchPoints });
    await touch('touchStart', [from]);
    for (let step = 1; step <= 8; step += 1) {
      await touch('touchMove', [{ x: from.x, y: from.y + ((to.y - from.y) * step) / 8 }]);
    }
    await touch('touchEnd', []);
    expect(await play.order()).toEqual(['document-2.txt', 'document-3.txt', 'document-1.txt']);
    // The browser does not scroll for a finger that begins here.
    expect(await page.evaluate("getComputedStyle(document.querySelector('.grip')).touchAction")).toBe('none');
  });

  test('nothing moves for those who ask for that', async () => {
    await open({ reducedMotion: 'reduce' });
    await page.route('**/v1/chat/completions', () => undefined);
    await page.fill('#question', QUESTION);
    await page.click('#ask');
    await page.locator('.run[data-state=waiting]').waitFor();
    const bar = "getComputedStyle(document.querySelector('.bar-fill'))";
    expect(await page.evaluate(`[${bar}.animationName, ${bar}.transitionDuration]`)).toEqual(['none', '0s']);
    await page.click('#stop');
  });

  test('the first page is small, soon there, and asks no other server', async () => {
    await open();
    await play.serves('demo');
    await page.locator('#samples:visible').waitFor();
    const loaded = (await page.evaluate(
      "performance.getEntriesByType('resource').map(({ name, decodedBodySize }) => ({ url: name, bytes: decodedBodySize }))",
    )) as { url: string; bytes: number }[];
    const paints = (await page.evaluate(
      "performance.getEntriesByName('first-contentful-paint').map(({ startTime }) => startTime)",
    )) as number[];
    const scripts = loaded.filter(({ url }) => url.endsWith('.js'));
    const scriptBytes = scripts.reduce((sum, { bytes }) => sum + bytes, 0);
    const all = loaded.reduce((sum, { bytes }) => sum + bytes, 0);
    console.info(
      `playground: ${scriptBytes} bytes of script, ${all} in all, first paint after ${paints[0]?.toFixed(0)} ms`,
    );
    expect(scriptBytes).toBeGreaterThan(20_000);
    expect(scripts.length).toBeGreaterThan(10);
    expect(scriptBytes).toBeLessThan(150_000);
    expect(loaded.every(({ url }) => url.startsWith(demo.url))).toBe(true);
    expect(loaded.some(({ url }) => url.includes('pdf.min'))).toBe(false);
    expect(paints).toHaveLength(1);
  });
});
