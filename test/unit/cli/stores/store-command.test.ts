/** Tenants that a person names at `blockstitch cache`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { tenantTag } from '../../../../src/cache/block-key.js';
import { prefixOf } from '../../../../src/cli/stores/store-command.js';
import { loadConfig } from '../../../../src/config.js';
import { makeKey, writeKeyFile } from '../../../../src/server/keys/key-file.js';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'blockstitch-names-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

it('takes no name that several tenants have: a key that was made anew under its name is another tenant', async () => {
  const keyFile = join(home, 'keys.json');
  const [old, young, bob] = ['alice', 'alice', 'bob'].map((name) => makeKey({ name }).entry);
  if (!old || !young || !bob) throw new TypeError('three keys were made');
  await writeKeyFile(keyFile, [{ ...old, revoked: old.created }, young, bob]);
  const config = loadConfig({ keyFile }, {});
  const tags = [old, young].map(({ tenantId }) => tenantTag(tenantId));
  await expect(prefixOf(config, 'alice')).rejects.toThrow(tags.join(', '));
  expect(await prefixOf(config, tags[1])).toBe(tags[1]);
  expect(await prefixOf(config, 'bob')).toBe(tenantTag(bob.tenantId));
});
