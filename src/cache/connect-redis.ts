/**
 * Connects to Redis as the settings say: one server, a cluster, or a master that Sentinels know. `rediss://` means TLS.
 * Knows connections. `redis-store.ts` keeps blocks there, `src/documents` keeps documents and jobs.
 */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { BlockstitchError } from '../errors.js';

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

interface Node {
  host: string;
  port: number;
  tls: boolean;
  username: string;
  password: string;
  db: number;
}

const DEFAULT_PORT = { single: 6379, cluster: 6379, sentinel: 26_379 } as const;
/** Options that each kind of connection takes. */
type CommonOptions = Omit<RedisOptions, 'replyMapping'>;

const CONNECT_TIMEOUT_MS = 5_000;
/** Parts of 16 MiB must get through slow lines. `stored-blocks.ts` bounds how long a request waits. */
const COMMAND_TIMEOUT_MS = 15_000;

/** Soon, then each second. The circuit breaker keeps requests away while Redis is down. */
const retryMs = (times: number) => Math.min(50 * times, 1_000);

/** Connects in the background. @throws BlockstitchError `config_invalid` if a URL or a file cannot be used */
export function connectRedis(settings: RedisSettings): Redis | Cluster {
  const urls = settings.redisUrl.split(',').map((url) => url.trim());
  const mode = settings.redisMode === 'auto' ? (urls.length > 1 ? 'cluster' : 'single') : settings.redisMode;
  if (mode === 'single' && urls.length > 1)
    throw invalid('--redis-url', 'it has several URLs, but --redis-mode is single');
  const nodes = urls.map((url) => readUrl(url, DEFAULT_PORT[mode]));
  const [first] = nodes as [Node, ...Node[]];
  if (nodes.some(({ tls }) => tls !== first.tls)) throw invalid('--redis-url', 'it mixes redis:// and rediss://');
  const tls = first.tls ? { tls: tlsOptions(settings) } : {};
  const options: CommonOptions = {
    username: first.username || undefined,
    password: first.password || undefined,
    maxRetriesPerRequest: 1,
    commandTimeout: COMMAND_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    ...tls,
  };
  const client = connect(mode, nodes, first, options, settings);
  // Each command rejects by itself. Without a listener, an error of the connection would end the process.
  client.on('error', (error: Error) => lastErrors.set(client, error));
  return client;
}

/** Calls Redis. If Redis cannot be reached, the message says why: the command itself only says that it gave up. */
export async function askRedis<T>(client: Redis | Cluster, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const cause = lastErrors.get(client);
    const gaveUp = client.status !== 'ready' && cause !== undefined;
    throw gaveUp ? new Error(`Redis cannot be reached: ${cause.message}`, { cause: error }) : error;
  }
}

/** The last failure of each connection. */
const lastErrors = new WeakMap<Redis | Cluster, Error>();

function connect(
  mode: 'single' | 'cluster' | 'sentinel',
  nodes: readonly Node[],
  first: Node,
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

function readUrl(url: string, defaultPort: number): Node {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw invalid('--redis-url', `${JSON.stringify(withoutPassword(url))} is not a URL`);
  }
  if (parsed.protocol !== 'redis:' && parsed.protocol !== 'rediss:') {
    throw invalid('--redis-url', `its scheme ${parsed.protocol} is neither redis: nor rediss:`);
  }
  if (parsed.hostname === '') throw invalid('--redis-url', 'it names no host');
  const db = parsed.pathname.replace(/^\//, '');
  if (!/^\d{0,4}$/.test(db)) throw invalid('--redis-url', `its database ${JSON.stringify(db)} is not a number`);
  return {
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: parsed.port === '' ? defaultPort : Number(parsed.port),
    tls: parsed.protocol === 'rediss:',
    username: decodeURIComponent(parsed.username),
    password: decodeURIComponent(parsed.password),
    db: Number(db),
  };
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

function withoutPassword(url: string): string {
  return url.replace(/:[^:@/]*@/, ':***@');
}

function invalid(setting: string, reason: string): BlockstitchError {
  return new BlockstitchError('config_invalid', { setting, reason });
}
