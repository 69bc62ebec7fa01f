/**
 * JSON under a checksum: a line with a SHA-256 over the place and the JSON, then the JSON.
 * The place is part of the sum, so a value that was put under another name is refused as a damaged one is.
 * Values written before there was a checksum are JSON alone; they are read, and say that they are old.
 */
import { createHash } from 'node:crypto';

const MAGIC = 'blockstitch-json/1 ';
const DIGITS = 64;
const HEADER_BYTES = MAGIC.length + DIGITS + 1;
const BRACE = '{'.charCodeAt(0);

export type Unsealed = { ok: true; value: object; sealed: boolean } | { ok: false; reason: string };

/** @param place name under which the value is kept */
export function sealJson(place: string, value: object): Buffer {
  const body = Buffer.from(JSON.stringify(value), 'utf8');
  return Buffer.concat([Buffer.from(header(place, body), 'latin1'), body]);
}

export function unsealJson(place: string, bytes: Buffer): Unsealed {
  if (bytes[0] === BRACE) return parse(bytes, false);
  const body = bytes.subarray(HEADER_BYTES);
  const holds = bytes.toString('latin1', 0, HEADER_BYTES) === header(place, body);
  return holds ? parse(body, true) : { ok: false, reason: 'its checksum does not hold' };
}

function parse(body: Buffer, sealed: boolean): Unsealed {
  try {
    return { ok: true, value: JSON.parse(body.toString('utf8')) as object, sealed };
  } catch {
    return { ok: false, reason: 'it is cut short, or not JSON' };
  }
}

function header(place: string, body: Buffer): string {
  const sum = createHash('sha256').update(`${place.length}:${place}`).update(body).digest('hex');
  return `${MAGIC}${sum}\n`;
}
