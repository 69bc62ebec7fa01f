/**
 * Connects to Redis as the settings say: one server, a cluster, or a master that Sentinels know. `rediss://` means TLS.
 * Owns a connection's life: when it counts as dead, when it is made again, and who is told whether it can be used.
 * `redis-store.ts` keeps blocks there, `src/documents` keeps documents and jobs.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConnectionOptions } from 'node:tls';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { BlockstitchError } from '../errors.js';
import { type RedisNode, readRedisUrl } from './redis-url.js';

export interface RedisSettings {
  /** `redis://[user:password@]host[:port][/db]`, `rediss://` for TLS; commas separate several. */
  redisUrl: string;
  /** `auto`: several URLs mean a cluster. */
  redisMode: 'auto' | 'single' | 'cluster' | 'sentinel';
  /** Name of the master that the Sentinels watch. */
  redisMaster: string;
  redisSentinelPassword: string;
  /** Files in PEM; empty if not used. */
  redisCa: string;
  redisCert: string;
  redisKey: string;
}

/** Whether a connection can be used. `reason` is Redis' or the network's word. */
export type RedisState = { usable: true } | { usable: false; reason: string };

export interface ConnectOptions {
  /**
   * What the connection carries. `documents`: short answers that clients wait for. `blocks`: large values.
   * `loads`: values that nobody may wait for any more; what is on the way is given up with the connection.
   * `jobs`: calls that wait for jobs, and that are made again for as long as Redis is away.
   */
  carries?: 'documents' | 'blocks' | 'loads' | 'jobs';
  /** Told of each change, and of the first state. */
  onState?: (state: RedisState) => void;
}

const DEFAULT_PORT = { single: 6379, cluster: 6379, sentinel: 26_379 } as const;
/** Options that each kind of connection takes. */
type CommonOptions = Omit<RedisOptions, 'replyMapping'>;

const CONNECT_TIMEOUT_MS = 5_000;
/** Parts of 16 MiB must get through slow lines. `stored-blocks.ts` bounds how long a request waits. */
const COMMAND_TIMEOUT_MS = 15_000;
/** A connection on which nothing arrives for so long while something is asked is dead. A large value takes its time. */
const SILENCE_MS = { documents: 4_000, blocks: 10_000, loads: 4_000, jobs: 15_000 } as const;
/** Connections that are lost while a call waits, before it is given up. Loads are computed instead. */
const LOST_CONNECTIONS = { documents: 3, blocks: 1, loads: 0, jobs: null } as const;
/** After one reconnection because of an answer, the next one waits so long: a lone replica still serves reads. */
const RECONNECT_REST_MS = 1_000;
/** Redis reads its files at a start. A call waits so long for it. */
const LOADING_MS = 5_000;
/** A call waits so long for the new master: the address may lead to the old one for a moment, after one reconnection and the next. */
const FAILOVER_MS = 2.5 * RECONNECT_REST_MS;
const PAUSE_MS = 100;
/** Made so often at least, however long each takes: a slow answer must not cost the call its turn on the new connection. */
const LEAST_TRIES = 4;

/** Soon, then each second. The circuit breaker keeps requests away while Redis is down. */
const retryMs = (times: number) => Math.min(50 * times, 1_000);

/** Connects in the background. @throws BlockstitchError `config_invalid` if a URL or a file cannot be used */
export function connectRedis(settings: RedisSettings, { carries = 'blocks', onState }: ConnectOptions = {}) {
  const urls = settings.redisUrl.split(',').map((url) => url.trim());
  const mode = settings.redisMode === 'auto' ? (urls.length > 1 ? 'cluster' : 'single') : settings.redisMode;
  if (mode === 'single' && urls.length > 1)
    throw invalid('--redis-url', 'it has several URLs, but --redis-mode is single');
  const nodes = urls.map((url) => readRedisUrl(url, DEFAULT_PORT[mode]));
  const [first] = nodes as [RedisNode, ...RedisNode[]];
  if (nodes.some(({ tls }) => tls !== first.tls)) throw invalid('--redis-url', 'it mixes redis:// and rediss://');
  const tls = first.tls ? { tls: tlsOptions(settings) } : {};
  const options: CommonOptions = {
    username: first.username || undefined,
    password: first.password || undefined,
    maxRetriesPerRequest: LOST_CONNECTIONS[carries],
    ...(carries === 'jobs' ? {} : { commandTimeout: COMMAND_TIMEOUT_MS }),
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SILENCE_MS[carries],
    reconnectOnError: onceIn(RECONNECT_REST_MS, isOfAnotherMaster),
    // The check asks INFO, which a user may lack. `askRedis` waits while Redis loads. A Sentinel's master shows its role in it.
    enableReadyCheck: mode === 'sentinel',
    ...tls,
  };
  const client = connect(mode, nodes, first, options, settings);
  follow(client, onState);
  return client;
}

/**
 * Calls Redis. What Redis refused because of its own state, it did not carry out: that is tried again, at once on the new
 * connection, then until a failover is over, or until Redis has read its files. `call` must be repeatable.
 *
 * @throws Error with Redis' words, and with nothing of the command; if Redis cannot be reached, with the reason
 */
export async function askRedis<T>(client: Redis | Cluster, call: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  for (let tried = 1; ; tried++) {
    try {
      return await call();
    } catch (thrown) {
      const error = thrown as Error;
      const patience = patienceMs(error);
      if (patience === 0 || (tried >= LEAST_TRIES && performance.now() - startMs >= patience)) {
        const cause = lastErrors.get(client);
        const gaveUp = client.status !== 'ready' && cause !== undefined;
        // The library's errors carry their commands: keys, texts, passwords. Those must not get into a log.
        throw new Error(gaveUp ? `Redis cannot be reached: ${cause}` : error.message);
      }
      if (tried > 1) await delay(PAUSE_MS);
    }
  }
}

/** Milliseconds for which a call that was refused so is made again. */
function patienceMs(error: Error): number {
  if (/\bLOADING\b/.test(error.message)) return LOADING_MS;
  // A transaction says only that one of its commands was refused.
  return isOfAnotherMaster(error) || /^EXECABORT/.test(error.message) ? FAILOVER_MS : 0;
}

/** The user may not run scripts. */
export function withoutScripts(error: unknown): boolean {
  return error instanceof Error && /NOPERM|unknown command/i.test(error.message);
}

/** Words of the last failure of each connection. */
const lastErrors = new WeakMap<Redis | Cluster, string>();

/** Redis was told to serve another way: a failover behind one address leaves connections to what is a replica now. */
function isOfAnotherMaster({ message }: Error): boolean {
  return /\b(READONLY|MASTERDOWN)\b/.test(message);
}

/** @returns `holds`, but true at most once in `restMs` */
function onceIn(restMs: number, holds: (error: Error) => boolean): (error: Error) => boolean {
  let lastMs = Number.NEGATIVE_INFINITY;
  return (error) => {
    if (performance.now() - lastMs < restMs || !holds(error)) return false;
    lastMs = performance.now();
    return true;
  };
}

/** Each command rejects by itself. Without a listener, an error of the connection would end the process. */
function follow(client: Redis | Cluster, onState: ((state: RedisState) => void) | undefined): void {
  let usable: boolean | undefined;
  const tell = (state: RedisState) => {
    if (state.usable !== usable) onState?.(state);
    usable = state.usable;
  };
  client.on('ready', () => tell({ usable: true }));
  client.on('error', (error: Error & { lastNodeError?: Error }) => {
    const reason = error.lastNodeError?.message ?? error.message;
    lastErrors.set(client, reason);
    tell({ usable: false, reason });
  });
  // A connection that Redis closes in order has no error of its own: the next try tells.
}

function connect(
  mode: 'single' | 'cluster' | 'sentinel',
  nodes: readonly RedisNode[],
  first: RedisNode,
  options: CommonOptions,
  { redisMaster, redisSentinelPassword }: RedisSettings,
): Redis | Cluster {
  const places = nodes.map(({ host, port }) => ({ host, port }));
  if (mode === 'cluster') {
    if (first.db !== 0) throw invalid('--redis-url', 'a cluster has no numbered databases');
    // Certificates name hosts, so the names that the cluster gives are used as they are, without a look-up.
    const dnsLookup = (host: string, done: (error: null, address: string) => void) => done(null, host);
    return new Cluster(places, {
      redisOptions: options,
      clusterRetryStrategy: retryMs,
      slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
      ...(first.tls ? { dnsLookup } : {}),
    });
  }
  if (mode === 'single') {
    return new Redis({ ...options, host: first.host, port: first.port, db: first.db, retryStrategy: retryMs });
  }
  return new Redis({
    ...options,
    sentinels: places,
    name: redisMaster,
    db: first.db,
    retryStrategy: retryMs,
    sentinelRetryStrategy: retryMs,
    ...(redisSentinelPassword === '' ? {} : { sentinelPassword: redisSentinelPassword }),
    ...(options.tls ? { enableTLSForSentinelMode: true, sentinelTLS: options.tls } : {}),
  });
}

function tlsOptions({ redisCa, redisCert, redisKey }: RedisSettings): ConnectionOptions {
  if ((redisCert === '') !== (redisKey === '')) {
    throw invalid('--redis-cert', '--redis-cert and --redis-key are given together or not at all');
  }
  return {
    ...(redisCa === '' ? {} : { ca: readPem('--redis-ca', redisCa) }),
    ...(redisCert === '' ? {} : { cert: readPem('--redis-cert', redisCert), key: readPem('--redis-key', redisKey) }),
  };
}

function readPem(setting: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw invalid(setting, cause instanceof Error ? cause.message : String(cause));
  }
}

function invalid(setting: string, reason: string): BlockstitchError {
  return new BlockstitchError('config_invalid', { setting, reason });
}
