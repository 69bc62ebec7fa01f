/**
 * Makes the pictures of the playground in docs/images, `make screenshots`: SmolLM2 (fetched if need be) over its sample
 * documents, asked and compared; light, dark, on a phone. Fails if a picture is larger than it may be.
 */
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { NAMED_MODELS } from '../../dist/src/cli/named-models.js';
import { pullNamedModel } from '../../dist/src/cli/pip-download.js';
import { loadConfig, PACKAGE_DIR } from '../../dist/src/config.js';
import { startServer } from '../../dist/src/server/start-server.js';

const OUT = join(PACKAGE_DIR, 'docs', 'images');
const MOST_BYTES = 300_000;
const DESKTOP = { width: 1200, height: 1240 };
const PHONE = { width: 390, height: 844 };
/** A cold prefill of 3,000 tokens on a busy machine. */
const PATIENCE_MS = 300_000;

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-screenshots-'));
const { path: model } = await pullNamedModel(NAMED_MODELS.smollm2, {
  directory: join(PACKAGE_DIR, 'build', 'test-models'),
});
const settings = { port: 0, model, servedName: 'SmolLM2-135M', storeDir: join(directory, 'store') };
const server = await startServer(loadConfig(settings, {}));
await server.ready;
const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args });

async function take(name, options, steps) {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  await page.goto(server.url);
  await page.locator('#served', { hasText: 'SmolLM2' }).waitFor();
  await page.locator('#samples:visible').waitFor();
  await steps(page);
  const path = join(OUT, `playground-${name}.png`);
  await page.screenshot({ path });
  await context.close();
  const { size } = statSync(path);
  console.log(`${path}: ${size} bytes`);
  if (size > MOST_BYTES) throw new Error(`${path} has more than ${MOST_BYTES} bytes`);
}

async function compared(page) {
  await page.click('#samples');
  await page.locator('#documents-summary', { hasText: 'blocks' }).waitFor();
  await page.locator('.suggestion').first().click();
  await page.click('#ask');
  await page.locator('#ask:enabled').waitFor();
  await page.click('#compare');
  await page.locator('#verdict:visible').waitFor();
  await page.evaluate("scrollTo(0, 0); document.querySelector('.ask').scrollTo(0, 0)");
}

try {
  mkdirSync(OUT, { recursive: true });
  await take('empty', { viewport: DESKTOP, colorScheme: 'light' }, async () => undefined);
  await take('light', { viewport: DESKTOP, colorScheme: 'light' }, compared);
  await take('dark', { viewport: DESKTOP, colorScheme: 'dark' }, compared);
  await take('phone', { viewport: PHONE, colorScheme: 'light', isMobile: true, hasTouch: true }, async (page) => {
    await compared(page);
    await page.evaluate("document.querySelector('#prompt').scrollIntoView()");
  });
} finally {
  await browser.close();
  await server.close(0);
  rmSync(directory, { recursive: true, force: true });
}
