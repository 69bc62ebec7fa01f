/**
 * Reads NDJSON from a body as it comes: one line after another, none of them longer than a limit in memory. Whoever takes
 * the next line late lets the sender wait. Knows bytes and line breaks, no JSON.
 */
import { BlockstitchError } from '../errors.js';
import { bodyPace } from './request-body.js';

const LINE_BREAK = 0x0a;

export interface NdjsonLine {
  /** Counted from 1, blank lines too. */
  line: number;
  /** Undefined for a line that is longer than the limit: it was not kept. */
  bytes: Buffer | undefined;
}

export interface NdjsonLimits {
  maxLineBytes: number;
  /** Milliseconds without a byte after which the sender counts as gone. */
  idleMs: number;
}

/** Yields the lines that are not blank. @throws BlockstitchError `invalid_request` if the sender falls silent */
export async function* ndjsonLines(
  body: AsyncIterable<Uint8Array>,
  { maxLineBytes, idleMs }: NdjsonLimits,
): AsyncGenerator<NdjsonLine> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let line = 1;
  const take = () => {
    const bytes = heldBytes > maxLineBytes ? undefined : Buffer.concat(held);
    held = [];
    heldBytes = 0;
    return { line: line++, bytes };
  };
  const hold = (piece: Buffer) => {
    heldBytes += piece.length;
    if (heldBytes > maxLineBytes) held = [];
    else held.push(piece);
  };
  for await (const chunk of unlessIdle(body, idleMs)) {
    let from = 0;
    for (;;) {
      // Blank lines, and white space in front of a value, are passed over where they stand.
      for (; heldBytes === 0 && isWhite(chunk[from]); from++) if (chunk[from] === LINE_BREAK) line++;
      const at = chunk.indexOf(LINE_BREAK, from);
      if (at < 0) break;
      hold(chunk.subarray(from, at));
      from = at + 1;
      yield take();
    }
    hold(chunk.subarray(from));
    // A body of blank lines would give nobody else a turn.
    await (bodyPace.taken(chunk.length) ?? new Promise(setImmediate));
  }
  if (heldBytes > 0) yield take();
}

function isWhite(byte: number | undefined): boolean {
  return byte === LINE_BREAK || byte === 0x20 || byte === 0x09 || byte === 0x0d;
}

async function* unlessIdle(body: AsyncIterable<Uint8Array>, idleMs: number): AsyncGenerator<Buffer> {
  const iterator = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await within(iterator.next(), idleMs);
      if (next.done) return;
      const { buffer, byteOffset, byteLength } = next.value;
      yield Buffer.from(buffer, byteOffset, byteLength);
    }
  } finally {
    // A body whose next piece is still awaited cannot be ended in order: whoever has it ends it.
    void iterator.return?.().catch(() => undefined);
  }
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const reason = `The body has stopped: nothing came for ${ms / 1000} s.`;
    timer = setTimeout(() => reject(new BlockstitchError('invalid_request', { reason })), ms);
  });
  promise.catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
