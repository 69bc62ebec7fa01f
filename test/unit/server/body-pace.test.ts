/** Bodies share what one turn of the event loop may take; each of them arrives whole and in its order. */
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { BodyPace, RESUMED_PER_TURN, TURN_BYTES } from '../../../src/server/plugins/body-pace.js';

const CHUNK_BYTES = 64 * 1024;
const MEGABYTE = 1024 * 1024;

/** A sender that never makes the server wait. @param taken told the size of each chunk that leaves */
function body(bytes: number, fill: number, taken: (bytes: number) => void): Readable {
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

/** Gathers a body as Fastify does. */
function gathered(pace: BodyPace, each: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  pace.hold(each);
  return new Promise((resolve, reject) => {
    each.on('data', (chunk: Buffer) => chunks.push(chunk));
    each.once('end', () => resolve(Buffer.concat(chunks)));
    each.once('error', reject);
  });
}

describe('bodies that come at once', () => {
  test.each([
    [1, 8 * MEGABYTE],
    [12, 8 * MEGABYTE],
    [100, 300 * 1024],
    [3, 10],
  ])('%i of %i bytes arrive whole, about a megabyte in a turn', async (count, bytes) => {
    const pace = new BodyPace();
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
    const whole = await Promise.all(bodies.map((each) => gathered(pace, each)));
    done = true;
    whole.forEach((each, index) => {
      expect(each.equals(Buffer.alloc(bytes, index))).toBe(true);
    });
    // One chunk of each body may stand in its stream before the first of them is stopped.
    expect(most).toBeLessThanOrEqual(TURN_BYTES + (count + RESUMED_PER_TURN) * 2 * CHUNK_BYTES);
  });

  test('one that breaks off leaves the others alone', async () => {
    const pace = new BodyPace();
    const bodies = Array.from({ length: 20 }, (_, index) => body(MEGABYTE, index, () => {}));
    const whole = bodies.map((each) => gathered(pace, each));
    bodies[0]?.destroy(new Error('the client went away'));
    await expect(whole[0]).rejects.toThrow('the client went away');
    expect((await Promise.all(whole.slice(1))).map((each) => each.length)).toEqual(Array(19).fill(MEGABYTE));
  });
});
