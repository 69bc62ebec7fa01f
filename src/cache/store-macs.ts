/**
 * Keys under which stored values are signed: whoever can write to the store, but has no key, cannot feed KV to a server.
 * The first key signs, all are believed, so keys can be changed one after another. Knows MACs and the file of keys.
 *
 * Blocks have megabytes: they are hashed by GHASH (NIST SP 800-38D) under a key of its own, at memory's speed, and the
 * hash, which nobody sees, goes through HMAC-SHA-256. AES-GCM-SIV (RFC 8452, section 4) makes its tags so, with AES in
 * HMAC's place: no nonce has to be kept or be new. docs/decisions/089 says why. Small values are signed by HMAC-SHA-256 alone.
 */
import { type CipherGCM, createCipheriv, createHmac, type Hmac, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { BlockstitchError } from '../errors.js';

/** Bytes of a MAC in a stored value: the first half of what HMAC-SHA-256 gives. */
export const MAC_BYTES = 16;
const LEAST_DIGITS = 64;
const SLICE_BYTES = 8 * 1024 * 1024;

export class StoreMacs {
  readonly #keys: readonly Buffer[];

  /** @param keys at least one; the first signs */
  constructor(keys: readonly Buffer[]) {
    if (keys.length === 0) throw new TypeError('there is no key');
    this.#keys = keys;
  }

  /** @param path '' for none @throws BlockstitchError `config_invalid` */
  static ofSetting(path: string): StoreMacs | undefined {
    if (path === '') return undefined;
    try {
      return StoreMacs.read(path);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new BlockstitchError('config_invalid', { setting: '--store-hmac-keys', reason }, { cause });
    }
  }

  /** @throws Error that says what is wrong with the file; it shows no key */
  static read(path: string): StoreMacs {
    const lines = readFileSync(path, 'utf8').split(/\r?\n/);
    const keys: Buffer[] = [];
    for (const [index, line] of lines.entries()) {
      const digits = line.trim();
      if (digits === '' || digits.startsWith('#')) continue;
      if (!/^([0-9a-f]{2})+$/i.test(digits) || digits.length < LEAST_DIGITS) {
        throw new Error(`line ${index + 1} of ${path} is not a key of ${LEAST_DIGITS} hex digits or more`);
      }
      keys.push(Buffer.from(digits, 'hex'));
    }
    if (keys.length === 0) throw new Error(`${path} holds no key`);
    return new StoreMacs(keys);
  }

  /** The MAC of a block to write. @param parts what is signed, one after another */
  async sign(parts: readonly Uint8Array[]): Promise<Buffer> {
    const [mac] = await blockMacs(this.#keys.slice(0, 1), parts);
    return mac as Buffer;
  }

  /** The MAC of a value of a few megabytes at most: the event loop gets no turn. Another one than that of `sign`. */
  signNow(parts: readonly Uint8Array[]): Buffer {
    return macOf(this.#keys[0] as Buffer, parts);
  }

  /** Whether one of the keys made the MAC by `signNow`. @param mac MAC_BYTES long */
  holdsNow(mac: Uint8Array, parts: readonly Uint8Array[]): boolean {
    let holds = false;
    for (const key of this.#keys) holds = timingSafeEqual(macOf(key, parts), mac) || holds;
    return holds;
  }

  /** Whether one of the keys made the MAC by `sign`, now or when blocks were signed by HMAC alone. */
  async holds(mac: Uint8Array, parts: readonly Uint8Array[]): Promise<boolean> {
    const isThere = (macs: readonly Buffer[]) => macs.map((own) => timingSafeEqual(own, mac)).includes(true);
    return isThere(await blockMacs(this.#keys, parts)) || isThere(await earlierMacs(this.#keys, parts));
  }
}

function macOf(key: Buffer, parts: readonly Uint8Array[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest().subarray(0, MAC_BYTES);
}

/** Begins what is signed of a block. No block, and no record of a document, begins with it. */
const HASH_SIGNED = Buffer.from('blockstitch block hash\0', 'latin1');
const HASH_KEY = Buffer.from('blockstitch hash key\0', 'latin1');

async function blockMacs(keys: readonly Buffer[], parts: readonly Uint8Array[]): Promise<Buffer[]> {
  const hashes = keys.map(keyedHash);
  await inSlices(parts, (slice) => {
    for (const hash of hashes) hash.setAAD(slice);
  });
  return hashes.map((hash, index) => {
    hash.final();
    return macOf(keys[index] as Buffer, [HASH_SIGNED, hash.getAuthTag()]);
  });
}

/** GHASH of associated data alone. The nonce is always the same, which is safe as long as the tag stays in this file. */
function keyedHash(key: Buffer): CipherGCM {
  const hashKey = createHmac('sha256', key).update(HASH_KEY).digest();
  return createCipheriv('aes-256-gcm', hashKey, Buffer.alloc(12));
}

/** How blocks were signed before: read, no longer written. */
async function earlierMacs(keys: readonly Buffer[], parts: readonly Uint8Array[]): Promise<Buffer[]> {
  const macs: Hmac[] = keys.map((key) => createHmac('sha256', key));
  await inSlices(parts, (slice) => {
    for (const mac of macs) mac.update(slice);
  });
  return macs.map((mac) => mac.digest().subarray(0, MAC_BYTES));
}

/** The event loop gets a turn between two slices: blocks of large models have tens of megabytes. */
async function inSlices(parts: readonly Uint8Array[], take: (slice: Uint8Array) => void): Promise<void> {
  for (const part of parts) {
    for (let at = 0; at < part.byteLength; at += SLICE_BYTES) {
      if (at > 0) await new Promise(setImmediate);
      take(part.subarray(at, at + SLICE_BYTES));
    }
  }
}
