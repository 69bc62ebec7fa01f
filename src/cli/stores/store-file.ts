/**
 * A store as one file, for backups and for another machine. Lines of JSON, each followed by as many bytes as it says:
 *
 *   blockstitch-store/1
 *   {"kind":"block","key":"...","kept":true,"bytes":4736}   then the value
 *   {"kind":"document","tenant":"...","id":"...","bytes":812} then the record
 *   {"kind":"end","items":2}
 *
 * Blocks and records carry their own checksums. The end tells a whole file from one that was cut.
 */
import { MAX_ID_BYTES } from '../../documents/document-limits.js';
import type { StoreItem } from './store-items.js';

const FIRST_LINE = 'blockstitch-store/1';
const MOST_LINE_BYTES = 64 * 1024;
/** Larger values are no values: 1 GiB. */
const MOST_VALUE_BYTES = 2 ** 30;
const LINE_BREAK = 10;

/** @returns how many items were written */
export async function writeStoreFile(
  items: AsyncIterable<StoreItem>,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<number> {
  let count = 0;
  await write(Buffer.from(`${FIRST_LINE}\n`));
  for await (const { value, ...head } of items) {
    await write(Buffer.from(`${JSON.stringify({ ...head, bytes: value.byteLength })}\n`));
    await write(value);
    count += 1;
  }
  await write(Buffer.from(`${JSON.stringify({ kind: 'end', items: count })}\n`));
  return count;
}

/** @throws Error if it is no such file, or was cut short; what was read until then is whole */
export async function* readStoreFile(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<StoreItem> {
  const reader = new ChunkReader(chunks);
  if ((await reader.line()) !== FIRST_LINE) throw new Error(`it does not begin with ${FIRST_LINE}`);
  for (let count = 0; ; count += 1) {
    const head = headIn(await reader.line());
    if (head.kind === 'end') {
      if (head.items !== count) throw new Error(`it has ${count} items, and says ${head.items}`);
      return;
    }
    const { bytes, ...item } = head;
    yield { ...item, value: await reader.bytes(bytes) };
  }
}

type Head =
  | { kind: 'end'; items: number }
  | { kind: 'block'; key: string; kept: boolean; bytes: number }
  | { kind: 'document'; tenant: string; id: string; bytes: number };

function headIn(line: string): Head {
  const wrong = () => new Error(`it holds a line that is no item: ${line.slice(0, 60)}`);
  let head: unknown;
  try {
    head = JSON.parse(line);
  } catch {
    throw wrong();
  }
  const { kind, key, kept, tenant, id, bytes, items } = (head ?? {}) as Record<string, unknown>;
  if (kind === 'end' && typeof items === 'number') return { kind, items };
  if (typeof bytes !== 'number' || !Number.isInteger(bytes) || bytes < 0 || bytes > MOST_VALUE_BYTES) throw wrong();
  if (kind === 'block' && typeof key === 'string' && /^[0-9a-f]{64}$/.test(key)) {
    return { kind, key, kept: kept === true, bytes };
  }
  if (kind === 'document' && typeof tenant === 'string' && /^[0-9a-z]{32}$/.test(tenant) && isId(id)) {
    return { kind, tenant, id, bytes };
  }
  throw wrong();
}

/** Longer ones are no keys of a store. */
function isId(id: unknown): id is string {
  return typeof id === 'string' && id !== '' && Buffer.byteLength(id) <= MAX_ID_BYTES;
}

/** Lines and runs of bytes out of chunks of any size. */
class ChunkReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    for (;;) {
      const end = this.#held.indexOf(LINE_BREAK);
      if (end >= 0) {
        const line = this.#held.toString('utf8', 0, end);
        this.#held = this.#held.subarray(end + 1);
        return line;
      }
      if (this.#held.byteLength > MOST_LINE_BYTES) throw new Error('it holds a line that does not end');
      this.#held = Buffer.concat([this.#held, await this.#next()]);
    }
  }

  async bytes(count: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let missing = count; missing > 0; ) {
      if (this.#held.byteLength === 0) this.#held = await this.#next();
      const part = this.#held.subarray(0, missing);
      parts.push(part);
      this.#held = this.#held.subarray(part.byteLength);
      missing -= part.byteLength;
    }
    return Buffer.concat(parts);
  }

  async #next(): Promise<Buffer> {
    const { done, value } = await this.#chunks.next();
    if (done) throw new Error('it was cut short');
    return Buffer.from(value);
  }
}
