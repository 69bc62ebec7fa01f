/** Bodies share what one turn of the event loop may take; each of them arrives whole and in its order, or is refused. */
import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { describe, expect, test } from 'vitest';
import { readBody, TURN_BYTES } from '../../../src/server/request-body.js';

const CHUNK_BYTES = 64 * 1024;
const MEGABYTE = 1024 * 1024;
const LIMIT = 16 * MEGABYTE;

const headed = (announced?: number) =>
  ({ headers: announced === undefined ? {} : { 'content-length': String(announced) } }) as FastifyRequest;

/** A sender that never makes the server wait. @param taken told the size of each chunk that leaves */
function body(bytes: number, fill = 1, taken: (bytes: number) => void = () => undefined): Readable {
  let left = bytes;
  return new Readable({
    highWaterMark: CHUNK_BYTES,
    read() {
      if (left === 0) return void this.push(null);
      const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, left), fill);
      left -= chunk.length;
      taken(chunk.length);
      this.push(chunk);
    },
  });
}

describe('bodies that come at once', () => {
  test.each([
    [1, 8 * MEGABYTE],
    [12, 8 * MEGABYTE],
    [100, 300 * 1024],
    [3, 10],
  ])('%i of %i bytes arrive whole, about a megabyte in a turn', async (count, bytes) => {
    let turn = 0;
    let most = 0;
    const taken = (size: number) => {
      turn += size;
      most = Math.max(most, turn);
    };
    let done = false;
    const watch = () => {
      turn = 0;
      if (!done) setImmediate(watch);
    };
    setImmediate(watch);
    const bodies = Array.from({ length: count }, (_, index) => body(bytes, index, taken));
    const whole = await Promise.all(bodies.map((each) => readBody(headed(bytes), each, LIMIT)));
    done = true;
    whole.forEach((each, index) => {
      expect(each.equals(Buffer.alloc(bytes, index))).toBe(true);
    });
    // Each body has up to two chunks on their way when it is told to wait.
    expect(most).toBeLessThanOrEqual(2 * TURN_BYTES + 2 * count * CHUNK_BYTES);
  });
});

describe('a body', () => {
  test('of just the limit is taken, announced or not', async () => {
    expect(await readBody(headed(), body(MEGABYTE), MEGABYTE)).toHaveLength(MEGABYTE);
    expect(await readBody(headed(MEGABYTE), body(MEGABYTE), MEGABYTE)).toHaveLength(MEGABYTE);
    expect(await readBody(headed(0), body(0), MEGABYTE)).toHaveLength(0);
  });

  test('that announces too much is refused before it is read, and flows on', async () => {
    let read = 0;
    const large = body(9 * MEGABYTE, 1, (bytes) => {
      read += bytes;
    });
    const refused = readBody(headed(9 * MEGABYTE), large, MEGABYTE);
    expect(read).toBe(0);
    await expect(refused).rejects.toMatchObject({
      code: 'payload_too_large',
      message: expect.stringMatching(/9 MiB.*limit of 1 MiB/),
    });
    expect(large.destroyed).toBe(false);
    await new Promise((resolve) => large.once('end', resolve));
  });

  test('that brings too much is refused at the limit, and flows on', async () => {
    let read = 0;
    const large = body(9 * MEGABYTE, 1, (bytes) => {
      read += bytes;
    });
    const refused = readBody(headed(), large, MEGABYTE).catch((error) => {
      expect(read).toBeLessThan(2 * MEGABYTE);
      throw error;
    });
    await expect(refused).rejects.toMatchObject({
      code: 'payload_too_large',
      message: expect.stringMatching(/more bytes/),
    });
    await new Promise((resolve) => large.once('end', resolve));
  });

  test('of another length than announced is refused', async () => {
    await expect(readBody(headed(5), body(4), MEGABYTE)).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringMatching(/has 4 bytes, and Content-Length announced 5/),
    });
  });

  test('whose sender leaves is client_closed', async () => {
    const half = new Readable({ read: () => undefined });
    half.push('{"text": ');
    const left = readBody(headed(100), half, MEGABYTE);
    half.destroy(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }));
    await expect(left).rejects.toMatchObject({ code: 'client_closed' });
  });
});
