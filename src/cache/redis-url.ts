/**
 * Reads the URLs of Redis. No part of a URL stands in a message: a password that is not encoded may end up in any part of it.
 * Knows text; `connect-redis.ts` connects.
 */
import { BlockstitchError } from '../errors.js';

export interface RedisNode {
  host: string;
  port: number;
  tls: boolean;
  username: string;
  password: string;
  db: number;
}

const ENCODE = 'encode the user and the password as encodeURIComponent does';

/** @throws BlockstitchError `config_invalid` if it cannot be used; the message holds nothing of the URL */
export function readRedisUrl(url: string, defaultPort: number): RedisNode {
  if (!/^rediss?:\/\//i.test(url)) throw invalid('a URL begins neither with redis:// nor with rediss://');
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw invalid(`a URL cannot be read; ${ENCODE}`);
  }
  if (parsed.hostname === '') throw invalid('a URL names no host');
  const db = parsed.pathname.replace(/^\//, '');
  // What follows a slash, a question mark or a hash may be the rest of a password.
  if (!/^\d{0,4}$/.test(db) || parsed.search !== '' || parsed.hash !== '') {
    throw invalid(`the database in a URL is not a number; ${ENCODE}`);
  }
  return {
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: parsed.port === '' ? defaultPort : Number(parsed.port),
    tls: parsed.protocol === 'rediss:',
    username: decoded(parsed.username),
    password: decoded(parsed.password),
    db: Number(db),
  };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw invalid(`the user or the password in a URL holds a % that encodes nothing; ${ENCODE}`);
  }
}

function invalid(reason: string): BlockstitchError {
  return new BlockstitchError('config_invalid', { setting: '--redis-url', reason });
}
