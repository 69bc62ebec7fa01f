/**
 * A process of its own that reads every key of an embedded store: `node walk-lmdb.js DIRECTORY`. It ends with 0 where all
 * can be read, with 1 and a line that says why where not, or with a signal where the map leads outside the file.
 * Knows how LMDB counts pages; who asks and what follows is `lmdb-files.ts`'s.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { open } from 'lmdb';

const DATABASES = ['blocks', 'sizes', 'documents', 'jobs'];

function main(directory: string): void {
  const root = open<Buffer, string>({ path: directory, encoding: 'binary', maxDbs: 8, readOnly: true });
  const { pageSize, lastPageNumber } = root.getStats() as { pageSize: number; lastPageNumber: number };
  const { size } = statSync(join(directory, 'data.mdb'));
  const needed = (lastPageNumber + 1) * pageSize;
  if (size < needed) throw new Error(`data.mdb was cut short: it has ${size} bytes, its pages take ${needed}`);
  for (const name of DATABASES) {
    const database = root.openDB<Buffer, string>({ name, encoding: 'binary' });
    // A database that was never made is none in a store opened for reading.
    for (const key of database?.getKeys?.() ?? []) String(key);
  }
}

try {
  main(process.argv[2] ?? '');
  process.exit(0);
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`, () => process.exit(1));
}
