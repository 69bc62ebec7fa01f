/** Text for benches: the project's own documentation. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_DIR } from '../src/config.js';

/** The project's documentation, repeated up to this many UTF-16 units. */
export function proseOf(characters: number): string {
  const directory = join(PACKAGE_DIR, 'docs');
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.md'));
  const once = files
    .sort()
    .map((file) => readFileSync(join(directory, file), 'utf8'))
    .join('\n\n');
  return once.repeat(Math.ceil(characters / once.length)).slice(0, characters);
}
