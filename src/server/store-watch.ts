/**
 * Follows the connections to Redis for the server: a log line and a metric for each change, a word for /ready.
 * Knows states; `connect-redis.ts` decides what state a connection is in, `stored-blocks.ts` whether calls fail.
 */
import type { RedisState } from '../cache/connect-redis.js';

/** What a connection carries, as metrics and the log name it. */
export const REDIS_CONNECTIONS = ['documents', 'blocks'] as const;

export type RedisConnection = (typeof REDIS_CONNECTIONS)[number];

export interface StoreWatchOptions {
  log?: {
    info(details: object, message: string): void;
    warn(details: object, message: string): void;
  };
  /** Told of each change, for the metrics. */
  onChange?: (connection: RedisConnection, usable: boolean) => void;
}

export class StoreWatch {
  readonly #options: StoreWatchOptions;
  readonly #usable = new Map<RedisConnection, boolean>();
  #closing = false;

  constructor(options: StoreWatchOptions = {}) {
    this.#options = options;
  }

  /** False from the start until the connection is there. */
  get usable(): boolean {
    return [...this.#usable.values()].every((usable) => usable);
  }

  /** @returns what the connection tells its changes to */
  follow(connection: RedisConnection): (state: RedisState) => void {
    this.#usable.set(connection, false);
    this.#options.onChange?.(connection, false);
    let failed = false;
    return (state) => {
      if (this.#closing) return;
      this.#usable.set(connection, state.usable);
      this.#options.onChange?.(connection, state.usable);
      if (!state.usable) {
        this.#options.log?.warn(
          { connection, reason: state.reason },
          'Redis cannot be used, it is tried again and again',
        );
      } else if (failed) this.#options.log?.info({ connection }, 'Redis can be used again');
      failed = !state.usable;
    };
  }

  /** What ends from now on ends on purpose. */
  closing(): void {
    this.#closing = true;
  }
}
