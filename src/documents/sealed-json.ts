/**
 * JSON under a checksum, and under a signature if there is a key: a line with a SHA-256 over the place and the JSON, and
 * the signature over the same; then the JSON. The place is part of both, so a value that was put under another name is
 * refused as a damaged one is. Values written before there was a checksum are JSON alone; they say that they are old.
 * Knows bytes. `cache/store-macs.ts` has the keys: the first signs, all are believed.
 */
import { createHash } from 'node:crypto';
import { MAC_BYTES, type StoreMacs } from '../cache/store-macs.js';

const PLAIN = 'blockstitch-json/1 ';
const SIGNED = 'blockstitch-json/2 ';
const SUM_DIGITS = 64;
const MAC_DIGITS = 2 * MAC_BYTES;
const BRACE = '{'.charCodeAt(0);
/** What is signed begins with it: no block is signed over such bytes. */
const SIGNED_AS = Buffer.from('blockstitch json record\0', 'latin1');

/** Why a value is refused that nobody signed. */
export const NOT_SIGNED = 'it is not signed';

export type Unsealed = { ok: true; value: object; sealed: boolean } | { ok: false; reason: string };

export class JsonSeal {
  readonly #macs: StoreMacs | undefined;

  /** @param macs if given, values are signed, and others are refused */
  constructor(macs?: StoreMacs) {
    this.#macs = macs;
  }

  /** @param place name under which the value is kept */
  seal(place: string, value: object): Buffer {
    const body = Buffer.from(JSON.stringify(value), 'utf8');
    const sum = sumOf(place, body);
    if (this.#macs === undefined) return Buffer.concat([Buffer.from(`${PLAIN}${sum}\n`, 'latin1'), body]);
    const mac = this.#macs.signNow(signedParts(place, body)).toString('hex');
    return Buffer.concat([Buffer.from(`${SIGNED}${sum} ${mac}\n`, 'latin1'), body]);
  }

  unseal(place: string, bytes: Buffer): Unsealed {
    if (bytes[0] === BRACE) return this.#macs === undefined ? parse(bytes, false) : { ok: false, reason: NOT_SIGNED };
    const isSigned = bytes.toString('latin1', 0, SIGNED.length) === SIGNED;
    const headBytes = (isSigned ? SIGNED.length + SUM_DIGITS + 1 + MAC_DIGITS : PLAIN.length + SUM_DIGITS) + 1;
    const body = bytes.subarray(headBytes);
    const head = bytes.toString('latin1', 0, headBytes);
    const mac = isSigned ? head.slice(-1 - MAC_DIGITS, -1) : '';
    const whole = isSigned ? `${SIGNED}${sumOf(place, body)} ${mac}\n` : `${PLAIN}${sumOf(place, body)}\n`;
    if (head !== whole || !/^[0-9a-f]*$/.test(mac)) return { ok: false, reason: 'its checksum does not hold' };
    if (this.#macs !== undefined) {
      if (!isSigned) return { ok: false, reason: NOT_SIGNED };
      if (!this.#macs.holdsNow(Buffer.from(mac, 'hex'), signedParts(place, body))) {
        return { ok: false, reason: 'it is signed with another key' };
      }
    }
    return parse(body, true);
  }
}

function parse(body: Buffer, sealed: boolean): Unsealed {
  try {
    return { ok: true, value: JSON.parse(body.toString('utf8')) as object, sealed };
  } catch {
    return { ok: false, reason: 'it is cut short, or not JSON' };
  }
}

function sumOf(place: string, body: Buffer): string {
  return createHash('sha256').update(`${place.length}:${place}`).update(body).digest('hex');
}

function signedParts(place: string, body: Buffer): Uint8Array[] {
  return [SIGNED_AS, Buffer.from(`${place.length}:${place}`), body];
}
