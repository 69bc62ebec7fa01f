/**
 * The tokenizer of the shipped demo model against the Python `tokenizers` library itself, over the whole corpus and a
 * megabyte of one letter. The golden files hold other tokenizers; this one may be trained anew.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { PACKAGE_DIR } from '../../../src/config.js';
import { readTokenizerDefinition } from '../../../src/text/read-tokenizer.js';
import { Tokenizer } from '../../../src/text/tokenizer.js';
import { pythonWithRequirements } from '../../support/demo-server.js';

const MODEL = join(PACKAGE_DIR, 'models', 'demo');
const CORPUS = join(PACKAGE_DIR, 'test', 'fixtures', 'tokenizers', 'texts.json');
const python = pythonWithRequirements();

/** Prints, per text, how many ids there are and the SHA-256 of them as int32. */
const SCRIPT = `
import array, hashlib, json, sys
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(sys.argv[1] + "/tokenizer.json")
texts = json.load(open(sys.argv[2], encoding="utf-8"))
texts["letter"] = "a" * 1_000_000
texts["prose"] = "The Zokego fair is held in Lima. " * 5_000
ids = {name: array.array("i", tokenizer.encode(text, add_special_tokens=False).ids) for name, text in texts.items()}
print(json.dumps({name: [len(own), hashlib.sha256(own.tobytes()).hexdigest()] for name, own in ids.items()}))
`;

test.skipIf(python === undefined)('the demo model is tokenized as the Python library does it', async () => {
  const { stdout } = await promisify(execFile)(python ?? '', ['-c', SCRIPT, MODEL, CORPUS]);
  const expected = JSON.parse(stdout) as Record<string, [number, string]>;
  const { default: corpus } = (await import(CORPUS, { with: { type: 'json' } })) as { default: Record<string, string> };
  const texts: Record<string, string> = {
    ...corpus,
    letter: 'a'.repeat(1_000_000),
    prose: 'The Zokego fair is held in Lima. '.repeat(5000),
  };
  const tokenizer = new Tokenizer(await readTokenizerDefinition(MODEL));
  expect(Object.keys(expected).length).toBeGreaterThan(20);
  for (const [name, [count, sha256]] of Object.entries(expected)) {
    const ids = tokenizer.encode(texts[name] ?? '', { parseControl: true });
    const own = createHash('sha256')
      .update(Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength))
      .digest('hex');
    expect([ids.length, own], name).toEqual([count, sha256]);
  }
});
