/** The playground in a browser, as its tests see it: opened, watched for faults, asked. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { PACKAGE_DIR } from '../../src/config.js';
import type { DroppedFile } from './browser.js';

export const QUESTION = 'In which month does Genado open?';
export const ANSWER = 'Genado opens in November.';

/** One of the demo model's eight documents. */
export const sample = (number: number): DroppedFile => {
  const name = `document-${number}.txt`;
  return { name, bytes: readFileSync(join(PACKAGE_DIR, 'models', 'demo', 'samples', name), 'utf8') };
};
export const FILES = [1, 2, 3, 4, 5, 6, 7, 8].map(sample);

/** Only a page that hangs takes so long, on a machine however busy. */
const HANGS_MS = 240_000;

export class PlaygroundPage {
  /** What the page must not do: errors in its console, and requests to others than its server. */
  faults: string[] = [];

  private constructor(readonly page: Page) {}

  /** Opens the page in a context of its own, at the size of a desktop. */
  static async open(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<PlaygroundPage> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    context.setDefaultTimeout(HANGS_MS);
    const opened = new PlaygroundPage(await context.newPage());
    const { page, faults } = opened;
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      // The browser's own line about a status of 400 and more: the page shows the server's error.
      const isStatus = message.text().includes('Failed to load resource');
      if (message.type() === 'error' && !isStatus) faults.push(message.text());
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(url) && !request.url().startsWith('blob:')) faults.push(request.url());
    });
    await page.goto(url);
    return opened;
  }

  texts(selector: string): Promise<string[]> {
    return this.page.locator(selector).allTextContents();
  }

  /** The documents in the order of the prompt. */
  order(): Promise<string[]> {
    return this.texts('.order-name');
  }

  async summaryIs(words: string): Promise<void> {
    await this.page.locator('#documents-summary', { hasText: words }).waitFor();
  }

  async serves(name: string): Promise<void> {
    await this.page.locator('#served', { hasText: name }).waitFor();
  }

  /** Waits for so many answers, and until the page takes a question again. */
  async answered(runs: number): Promise<void> {
    await this.page
      .locator('.run[data-state=done]')
      .nth(runs - 1)
      .waitFor();
    await this.page.locator('#ask:enabled').waitFor();
  }

  /** @param runs answers that are there then */
  async ask(question: string, runs: number): Promise<void> {
    await this.page.fill('#question', question);
    await this.page.click('#ask');
    await this.answered(runs);
  }

  close(): Promise<void> {
    return this.page.context().close();
  }
}
