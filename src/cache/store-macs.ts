/**
 * Keys under which stored values are signed: whoever can write to the store, but has no key, cannot feed KV to a server.
 * The first key signs, all are believed, so keys can be changed one after another. Knows HMAC-SHA-256 and the file of keys.
 */
import { createHmac, type Hmac, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { BlockstitchError } from '../errors.js';

/** Bytes of a MAC in a stored value: the first half of HMAC-SHA-256. */
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

  /** The MAC to write. @param parts what is signed, one after another */
  async sign(parts: readonly Uint8Array[]): Promise<Buffer> {
    const [mac] = await macsOf(this.#keys.slice(0, 1), parts);
    return mac as Buffer;
  }

  /** `sign` without a turn for the event loop: for a few megabytes at most. */
  signNow(parts: readonly Uint8Array[]): Buffer {
    return macOf(this.#keys[0] as Buffer, parts);
  }

  /** `holds` without a turn for the event loop. @param mac MAC_BYTES long */
  holdsNow(mac: Uint8Array, parts: readonly Uint8Array[]): boolean {
    let holds = false;
    for (const key of this.#keys) holds = timingSafeEqual(macOf(key, parts), mac) || holds;
    return holds;
  }

  /** Whether one of the keys made the MAC. */
  async holds(mac: Uint8Array, parts: readonly Uint8Array[]): Promise<boolean> {
    let holds = false;
    for (const own of await macsOf(this.#keys, parts)) holds = timingSafeEqual(own, mac) || holds;
    return holds;
  }
}

function macOf(key: Buffer, parts: readonly Uint8Array[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest().subarray(0, MAC_BYTES);
}

/** The event loop gets a turn between two slices: blocks of large models have tens of megabytes. */
async function macsOf(keys: readonly Buffer[], parts: readonly Uint8Array[]): Promise<Buffer[]> {
  const macs: Hmac[] = keys.map((key) => createHmac('sha256', key));
  for (const part of parts) {
    for (let at = 0; at < part.byteLength; at += SLICE_BYTES) {
      if (at > 0) await new Promise(setImmediate);
      for (const mac of macs) mac.update(part.subarray(at, at + SLICE_BYTES));
    }
  }
  return macs.map((mac) => mac.digest().subarray(0, MAC_BYTES));
}
