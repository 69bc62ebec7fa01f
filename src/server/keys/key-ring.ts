/**
 * The API keys that the server takes now: plain ones from the settings, and hashed ones from a file that is read again
 * when it changes. Knows who a key is and what it may use; the plugins know requests.
 * A look-up takes as long for a wrong key as for a right one of its kind, and it never logs a key.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { tenantTag } from '../../cache/block-key.js';
import type { Config } from '../../config.js';
import { BlockstitchError } from '../../errors.js';
import { isSecretOf, type KeyEntry, type KeyLimits, partsOf, readKeyFile } from './key-file.js';

/** Whoever sent a key. */
export interface KeyHolder {
  /** Names the key in counts. */
  client: string;
  /** What blocks, documents and memos are salted with. */
  tenant: string;
  limits: KeyLimits;
}

export interface KeyRingOptions {
  plainKeys: readonly string[];
  /** '' for none. */
  file: string;
  now?: () => number;
}

/** How often the file's time and size are looked at: watches of the file system miss changes on network volumes. */
const LOOK_MS = 1_000;
/** A key that nobody has: unknown ids take as long as known ones. */
const NOBODY = { salt: '0'.repeat(32), hash: '0'.repeat(64) };

export class KeyRing {
  readonly #file: string;
  readonly #digests: readonly Buffer[];
  readonly #holders: readonly KeyHolder[];
  readonly #now: () => number;
  #entries = new Map<string, KeyEntry>();
  /** Names of the file's tenants by their ids. */
  #names = new Map<string, string>();
  /** Most stored bytes by the tag of the tenant. */
  #storedBytes = new Map<string, number>();
  /** Of the file as it was read last. */
  #state = '';

  private constructor({ plainKeys, file, now = Date.now }: KeyRingOptions) {
    this.#file = file;
    this.#now = now;
    this.#digests = plainKeys.map(digest);
    this.#holders = plainKeys.map((key) => {
      const tenant = tenantId(key);
      return { client: `key ${tenant}`, tenant, limits: {} };
    });
  }

  /** @throws BlockstitchError `config_invalid` if the file cannot be read */
  static async open(options: KeyRingOptions): Promise<KeyRing> {
    const ring = new KeyRing(options);
    try {
      await ring.reload();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new BlockstitchError('config_invalid', { setting: '--key-file', reason }, { cause });
    }
    return ring;
  }

  static ofConfig({ apiKeys, keyFile }: Pick<Config, 'apiKeys' | 'keyFile'>): Promise<KeyRing> {
    return KeyRing.open({ plainKeys: apiKeys, file: keyFile });
  }

  /** Whether requests need a key. A file without a usable key lets nobody in. */
  get asksForKeys(): boolean {
    return this.#digests.length > 0 || this.#file !== '';
  }

  /** Whether a key may have a limit of tokens, bytes or requests of its own. */
  get hasFile(): boolean {
    return this.#file !== '';
  }

  /** Whose key it is; undefined for wrong, expired and revoked ones. */
  find(key: string): KeyHolder | undefined {
    const parts = partsOf(key);
    const entry = this.#entries.get(parts?.id ?? '');
    const isRight = isSecretOf(parts?.secret ?? '', entry ?? NOBODY);
    const plain = this.#findPlain(key);
    if (entry === undefined || !isRight || !isUsable(entry, this.#now())) return plain;
    return { client: `key ${entry.id}`, tenant: entry.tenantId, limits: entry.limits };
  }

  /**
   * Most bytes of blocks that a tenant may have in the store: the largest limit of its keys. Undefined: no limit, also
   * if one of its keys has none.
   * @param tag see `tenantTag`
   */
  storedBytesOf(tag: string): number | undefined {
    return this.#storedBytes.get(tag);
  }

  /** The name of a tenant of the file: a shared tenant's own, else its key's. */
  nameOf(tenant: string): string | undefined {
    return this.#names.get(tenant);
  }

  tenantNames(): Iterable<string> {
    return this.#names.values();
  }

  /** Reads the file, whether or not it has changed. @throws Error; the keys stay as they were then */
  async reload(): Promise<void> {
    if (this.#file === '') return;
    const state = await stateOf(this.#file);
    const entries = await readKeyFile(this.#file);
    this.#state = state;
    this.#entries = new Map(entries.map((entry) => [entry.id, entry]));
    this.#names = new Map(entries.map(({ tenantId: id, tenant, name }) => [id, tenant ?? name]));
    this.#storedBytes = storedBytesByTag(entries);
  }

  /**
   * Looks at the file every second, and reads it again when it has changed.
   * @param onReload told of each time, with what went wrong if the file cannot be used
   * @returns a function that ends it
   */
  watch(onReload: (error?: Error) => void): () => void {
    if (this.#file === '') return () => undefined;
    let looking = false;
    let failed = '';
    const look = async () => {
      const state = await stateOf(this.#file).catch((error: Error) => error.message);
      if (state === this.#state || state === failed) return;
      try {
        await this.reload();
        failed = '';
        onReload();
      } catch (error) {
        failed = state;
        onReload(error as Error);
      }
    };
    const timer = setInterval(() => {
      if (looking) return;
      looking = true;
      void look().finally(() => {
        looking = false;
      });
    }, LOOK_MS);
    timer.unref();
    return () => clearInterval(timer);
  }

  /** Compares with every key, so that time does not tell which one matched. */
  #findPlain(key: string): KeyHolder | undefined {
    if (this.#digests.length === 0) return undefined;
    const given = digest(key);
    let found: number | undefined;
    for (const [index, expected] of this.#digests.entries()) found = timingSafeEqual(given, expected) ? index : found;
    return found === undefined ? undefined : this.#holders[found];
  }
}

/** The tenant of a plain key: a digest of the key's digest. 32 hex digits. */
export function tenantId(key: string): string {
  return createHash('sha256')
    .update(`blockstitch tenant ${digest(key).toString('hex')}`)
    .digest('hex')
    .slice(0, 32);
}

function isUsable({ expires, revoked }: KeyEntry, nowMs: number): boolean {
  return revoked === undefined && (expires === undefined || Date.parse(expires) > nowMs);
}

/** Revoked keys count too: what their tenant may store does not grow when a key goes. */
function storedBytesByTag(entries: readonly KeyEntry[]): Map<string, number> {
  const most = new Map<string, number>();
  for (const { tenantId: tenant, limits, revoked } of entries) {
    if (revoked !== undefined && entries.some((each) => each.tenantId === tenant && each.revoked === undefined))
      continue;
    const tag = tenantTag(tenant);
    most.set(tag, Math.max(most.get(tag) ?? 0, limits.storedBytes ?? Number.POSITIVE_INFINITY));
  }
  return new Map([...most].filter(([, bytes]) => Number.isFinite(bytes)));
}

/** Changes whenever the file does. */
async function stateOf(file: string): Promise<string> {
  const { mtimeMs, size, ino } = await stat(file);
  return `${mtimeMs} ${size} ${ino}`;
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key, 'utf8').digest();
}
