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
import { BlockstitchError } from '../../errors.js';
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

/**
 * @param name of the file, for messages
 * @throws BlockstitchError `file_damaged` if it is no such file, or was cut short; what was read until then is whole
 */
export async function* readStoreFile(chunks: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<StoreItem> {
  const reader = new ChunkReader(chunks);
  const damaged = (reason: string) => new BlockstitchError('file_damaged', { file: name, reason });
  for (let count = 0; ; count += 1) {
    const startsAt = reader.at;
    let item: StoreItem | undefined;
    try {
      item = count === 0 ? await firstItem(reader) : await nextItem(reader, count);
    } catch (cause) {
      if (cause instanceof Cut) {
        const where = count === 0 && startsAt === 0 ? '' : `, in item ${count + 1}, which begins at byte ${startsAt}`;
        throw damaged(`it is cut: it ends at byte ${reader.at}${where}`);
      }
      if (cause instanceof Wrong) throw damaged(`at byte ${startsAt}, ${cause.message}`);
      throw cause;
    }
    if (item === undefined) return;
    yield item;
  }
}

async function firstItem(reader: ChunkReader): Promise<StoreItem | undefined> {
  const line = await reader.line().catch((cause: unknown) => {
    // A file that has no line at all may be anything.
    if (cause instanceof Cut && FIRST_LINE.startsWith(reader.held)) throw cause;
    if (cause instanceof Cut) return '';
    throw cause;
  });
  if (line !== FIRST_LINE) throw new Wrong(`it does not begin with ${FIRST_LINE}`);
  return nextItem(reader, 0);
}

/** @param count items that came before @returns undefined at the end */
async function nextItem(reader: ChunkReader, count: number): Promise<StoreItem | undefined> {
  const head = headIn(await reader.line());
  if (head.kind === 'end') {
    if (head.items !== count) throw new Wrong(`it has ${count} items, and says ${head.items}`);
    return undefined;
  }
  const { bytes, ...item } = head;
  return { ...item, value: await reader.bytes(bytes) };
}

/** The file ends where it must not. */
class Cut extends Error {}
/** The file holds what no store file holds. */
class Wrong extends Error {}

type Head =
  | { kind: 'end'; items: number }
  | { kind: 'block'; key: string; kept: boolean; bytes: number }
  | { kind: 'document'; tenant: string; id: string; bytes: number };

function headIn(line: string): Head {
  const wrong = () => new Wrong(`it holds a line that is no item: ${line.slice(0, 60)}`);
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
  /** Bytes of the chunks that were taken. */
  #taken = 0;
  #ended = false;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The byte that comes next; at the end, how many there were. */
  get at(): number {
    return this.#ended ? this.#taken : this.#taken - this.#held.byteLength;
  }

  /** What was taken and not read. */
  get held(): string {
    return this.#held.toString('utf8');
  }

  async line(): Promise<string> {
    for (;;) {
      const end = this.#held.indexOf(LINE_BREAK);
      if (end >= 0) {
        const line = this.#held.toString('utf8', 0, end);
        this.#held = this.#held.subarray(end + 1);
        return line;
      }
      if (this.#held.byteLength > MOST_LINE_BYTES) throw new Wrong('it holds a line that does not end');
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
    if (done) {
      this.#ended = true;
      throw new Cut();
    }
    this.#taken += value.byteLength;
    return Buffer.from(value);
  }
}
