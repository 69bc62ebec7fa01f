/** The settings of the tiers below the pool: LMDB, Redis, host memory. `settings.ts` has the whole table. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { bytes, choice, milliseconds, type Setting, text } from './setting-kinds.js';

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;

/** Where everything lies that may be made again. */
export const CACHE_DIR = join(homedir(), '.cache', 'blockstitch');

export const STORE_SETTINGS = {
  storeDir: text('--store-dir', 'BLOCKSTITCH_STORE_DIR', join(CACHE_DIR, 'store'), 'directory of the LMDB store'),
  storeMaxBytes: bytes(
    '--store-max',
    'BLOCKSTITCH_STORE_MAX',
    0,
    0,
    1024 * 1024 * GiB,
    'most bytes of blocks in the LMDB store; beyond it what was used longest ago goes; 0 sets no limit but the disk',
  ),
  storeValues: choice(
    '--store-values',
    'BLOCKSTITCH_STORE_VALUES',
    'pool',
    ['pool', 'float16', 'int8'],
    "element type of blocks in the store; pool: the pool's own; never more bytes than that (docs/stores.md)",
  ),
  storeHmacKeys: text(
    '--store-hmac-keys',
    'BLOCKSTITCH_STORE_HMAC_KEYS',
    '',
    'file with a key of 64 hex digits or more per line: stored blocks and documents are signed with the first, others are refused',
  ),
  redisUrl: text(
    '--redis-url',
    'REDIS_URL',
    '',
    'keep blocks and documents in Redis instead of LMDB; rediss:// for TLS, several URLs separated by commas',
  ),
  redisMode: choice(
    '--redis-mode',
    'BLOCKSTITCH_REDIS_MODE',
    'auto',
    ['auto', 'single', 'cluster', 'sentinel'],
    'what the URLs name: one server, nodes of a cluster, or Sentinels; auto takes several URLs for a cluster',
  ),
  redisMaster: text('--redis-master', 'BLOCKSTITCH_REDIS_MASTER', 'mymaster', 'master that the Sentinels watch'),
  redisSentinelPassword: text(null, 'REDIS_SENTINEL_PASSWORD', '', 'password of the Sentinels'),
  redisTtlMs: milliseconds(
    '--redis-ttl',
    'BLOCKSTITCH_REDIS_TTL',
    0,
    10 * 365 * 86_400_000,
    'time that a block stays in Redis; 0 lets Redis decide',
  ),
  redisCa: text('--redis-ca', 'BLOCKSTITCH_REDIS_CA', '', "PEM file of the authority that signed Redis' certificate"),
  redisCert: text('--redis-cert', 'BLOCKSTITCH_REDIS_CERT', '', 'PEM file of the certificate that is shown to Redis'),
  redisKey: text('--redis-key', 'BLOCKSTITCH_REDIS_KEY', '', 'PEM file of the key of --redis-cert'),
  hostTierBytes: bytes(
    '--host-tier',
    'BLOCKSTITCH_HOST_TIER',
    256 * MiB,
    0,
    4096 * GiB,
    'memory for blocks that were computed or came from Redis, beside the pool; 0 turns the tier off',
  ),
} as const satisfies Record<string, Setting>;
