/** A line to Redis that a test can stop, slow, cut or lose. Bytes that are stopped wait until the test goes on. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** `calls`: what clients send. `answers`: what Redis sends. */
export type Direction = 'calls' | 'answers';

export interface RedisProxy {
  url: string;
  /** From now on bytes of this direction wait. */
  hold(direction: Direction): void;
  release(direction: Direction): void;
  /** From now on so many bytes a second pass in each direction; without a number, all that come. */
  slow(bytesPerSecond?: number): void;
  /** What is connected now goes silent for ever, without an end. New connections work. */
  lose(): void;
  /** Ends every connection once so many more bytes of answers have passed: in the middle of a value. */
  cut(afterBytes: number): void;
  /** Connections made so far. */
  readonly connections: number;
  /** Leads new connections to another server; `end` closes those that are there. */
  lead(port: number, options?: { end?: boolean }): void;
  /** Resolves once so many bytes wait. */
  held(direction: Direction, bytes?: number): Promise<void>;
  close(): Promise<void>;
}

export async function startRedisProxy(port: number): Promise<RedisProxy> {
  const lines = { calls: new Line(), answers: new Line() };
  const sockets = new Set<Socket>();
  const lost = new WeakSet<Socket>();
  let target = port;
  let connections = 0;
  let cutAfter = Number.POSITIVE_INFINITY;
  const endAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((client) => {
    connections++;
    const redis = connect(target, '127.0.0.1');
    for (const socket of [client, redis]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        if (lost.has(client)) return;
        client.destroy();
        redis.destroy();
      });
    }
    client.on('data', (bytes) => {
      if (!lost.has(client)) lines.calls.pass(bytes, redis);
    });
    redis.on('data', (bytes) => {
      if (lost.has(client)) return;
      if (bytes.byteLength < cutAfter) {
        cutAfter -= bytes.byteLength;
        lines.answers.pass(bytes, client);
        return;
      }
      client.write(bytes.subarray(0, cutAfter), endAll);
      cutAfter = Number.POSITIVE_INFINITY;
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hold: (direction) => lines[direction].hold(),
    release: (direction) => lines[direction].release(),
    held: (direction, bytes = 1) => lines[direction].held(bytes),
    slow(bytesPerSecond) {
      for (const line of Object.values(lines)) line.slow(bytesPerSecond);
    },
    lose() {
      for (const socket of sockets) lost.add(socket);
    },
    cut(afterBytes) {
      cutAfter = afterBytes;
    },
    get connections() {
      return connections;
    },
    lead(other, { end = false } = {}) {
      target = other;
      if (end) endAll();
    },
    async close() {
      for (const line of Object.values(lines)) line.slow();
      endAll();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Bytes that leave a slow line at once, by the tick of its clock. */
const TICK_MS = 10;

class Line {
  #held: { bytes: Uint8Array; to: Socket }[] | undefined;
  #waiting: { bytes: number; go: () => void }[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** @param bytesPerSecond of all connections together */
  slow(bytesPerSecond?: number): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (bytesPerSecond === undefined) {
      this.release();
      return;
    }
    this.hold();
    let lastMs = performance.now();
    let allowed = 0;
    this.#timer = setInterval(() => {
      const nowMs = performance.now();
      allowed = Math.min(allowed + ((nowMs - lastMs) * bytesPerSecond) / 1000, bytesPerSecond);
      lastMs = nowMs;
      // Connections share a line: none of them waits behind all that another one has to send.
      for (let sent = true; sent && allowed >= 1; ) {
        const firsts = new Map((this.#held ?? []).toReversed().map((waiting) => [waiting.to, waiting]));
        const share = Math.max(1, Math.floor(allowed / Math.max(1, firsts.size)));
        sent = false;
        for (const first of firsts.values()) {
          if (allowed < 1) break;
          // What was meant for a connection that is gone is not sent.
          const size = Math.min(first.bytes.byteLength, first.to.destroyed ? Number.POSITIVE_INFINITY : share);
          if (!first.to.destroyed) {
            first.to.write(first.bytes.subarray(0, size));
            allowed -= size;
          }
          first.bytes = first.bytes.subarray(size);
          sent = true;
        }
        this.#held = this.#held?.filter(({ bytes }) => bytes.byteLength > 0);
      }
    }, TICK_MS);
  }

  pass(bytes: Uint8Array, to: Socket): void {
    if (this.#held === undefined) {
      to.write(bytes);
      return;
    }
    this.#held.push({ bytes, to });
    this.#tell();
  }

  hold(): void {
    this.#held ??= [];
  }

  release(): void {
    for (const { bytes, to } of this.#held ?? []) to.write(bytes);
    this.#held = undefined;
  }

  async held(bytes: number): Promise<void> {
    await new Promise<void>((go) => {
      this.#waiting.push({ bytes, go });
      this.#tell();
    });
  }

  #tell(): void {
    const held = (this.#held ?? []).reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
    for (const waiting of this.#waiting) if (held >= waiting.bytes) waiting.go();
    this.#waiting = this.#waiting.filter(({ bytes }) => held < bytes);
  }
}
