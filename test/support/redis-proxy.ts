/** A line to Redis that a test can stop in either direction. The bytes of one side then wait until the test goes on. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** `calls`: what clients send. `answers`: what Redis sends. */
export type Direction = 'calls' | 'answers';

export interface RedisProxy {
  url: string;
  /** From now on bytes of this direction wait. */
  hold(direction: Direction): void;
  release(direction: Direction): void;
  /** Resolves once so many bytes wait. */
  held(direction: Direction, bytes?: number): Promise<void>;
  close(): Promise<void>;
}

export async function startRedisProxy(port: number): Promise<RedisProxy> {
  const lines = { calls: new Line(), answers: new Line() };
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const redis = connect(port, '127.0.0.1');
    for (const socket of [client, redis]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        client.destroy();
        redis.destroy();
        sockets.delete(socket);
      });
    }
    client.on('data', (bytes) => lines.calls.pass(bytes, redis));
    redis.on('data', (bytes) => lines.answers.pass(bytes, client));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hold: (direction) => lines[direction].hold(),
    release: (direction) => lines[direction].release(),
    held: (direction, bytes = 1) => lines[direction].held(bytes),
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

class Line {
  #held: { bytes: Uint8Array; to: Socket }[] | undefined;
  #waiting: { bytes: number; go: () => void }[] = [];

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
