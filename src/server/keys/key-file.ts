/**
 * The file of hashed API keys: who may ask, as which tenant, how much, and until when. Keys themselves are nowhere in it.
 * A key is `bsk_ID_SECRET`: the id finds its entry, the secret has 256 random bits. So one salted SHA-256 is enough
 * (docs/decisions/081-hashed-keys.md).
 * Knows the format and how to change it. `key-ring.ts` looks keys up; `blockstitch keys` writes.
 */
import { createHash, createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { Type } from '@fastify/type-provider-typebox';
import { Compile } from 'typebox/compile';

/** What a key may use; what is absent has no limit of its own. */
export interface KeyLimits {
  requestsPerMinute?: number;
  promptTokensPerMinute?: number;
  newTokensPerMinute?: number;
  /** Requests at once, of one server. */
  concurrent?: number;
  /** Bytes of blocks of the key's tenant in the store. */
  storedBytes?: number;
}

export interface KeyEntry {
  /** 12 hex digits, in the key as it is. */
  id: string;
  name: string;
  /** The shared tenant that the key belongs to; a tenant of its own if absent. */
  tenant?: string;
  /** What blocks, documents and memos of the tenant are salted with: 32 hex digits. */
  tenantId: string;
  /** 32 hex digits. */
  salt: string;
  /** HMAC-SHA-256 of the secret under the salt, 64 hex digits. */
  hash: string;
  limits: KeyLimits;
  /** ISO 8601, as the others. */
  created: string;
  expires?: string;
  revoked?: string;
}

export interface NewKey {
  name: string;
  tenant?: string;
  /** The tenant's id, if it is given: that of a plain key, so that its documents stay. */
  tenantId?: string;
  limits?: KeyLimits;
  expires?: Date;
}

const VERSION = 1;
const SECRET_BYTES = 32;
const FORM = /^bsk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;

const limit = (minimum: number) => Type.Optional(Type.Integer({ minimum, maximum: Number.MAX_SAFE_INTEGER }));
const date = Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT' });
const FILE = Compile(
  Type.Object({
    version: Type.Literal(VERSION),
    keys: Type.Array(
      Type.Object(
        {
          id: Type.String({ pattern: '^[0-9a-f]{12}$' }),
          name: Type.String({ minLength: 1 }),
          tenant: Type.Optional(Type.String({ minLength: 1 })),
          tenantId: Type.String({ pattern: '^[0-9a-f]{32}$' }),
          salt: Type.String({ pattern: '^[0-9a-f]{32}$' }),
          hash: Type.String({ pattern: '^[0-9a-f]{64}$' }),
          limits: Type.Object(
            {
              requestsPerMinute: limit(1),
              promptTokensPerMinute: limit(1),
              newTokensPerMinute: limit(1),
              concurrent: limit(1),
              storedBytes: limit(0),
            },
            { additionalProperties: false },
          ),
          created: date,
          expires: Type.Optional(date),
          revoked: Type.Optional(date),
        },
        { additionalProperties: false },
      ),
    ),
  }),
);

/** @throws Error that says what is wrong with the file; it shows no hash */
export async function readKeyFile(path: string): Promise<KeyEntry[]> {
  const text = await readFile(path, 'utf8');
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    throw new Error(`${path} is not JSON`);
  }
  if (!FILE.Check(given)) {
    const [first] = FILE.Errors(given);
    throw new Error(`${path} is no key file: ${first?.instancePath ?? ''} ${first?.message ?? 'is wrong'}`);
  }
  const { keys } = given as { keys: KeyEntry[] };
  const wrong = keys.find(({ created, expires, revoked }) =>
    [created, expires, revoked].some((each) => each !== undefined && Number.isNaN(Date.parse(each))),
  );
  if (wrong) throw new Error(`${path} is no key file: a date of the key ${wrong.id} is wrong`);
  if (new Set(keys.map(({ id }) => id)).size < keys.length) throw new Error(`${path} has two keys of one id`);
  return keys;
}

/** Writes the file whole and renames it: whoever reads sees the old file or the new one. Only its owner may read it. */
export async function writeKeyFile(path: string, keys: readonly KeyEntry[]): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    const handle = await open(aside, 'wx', 0o600);
    try {
      await handle.writeFile(`${JSON.stringify({ version: VERSION, keys }, null, 2)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(aside, path);
  } finally {
    await rm(aside, { force: true });
  }
}

/** @returns the entry for the file, and the key: it is shown once and kept nowhere */
export function makeKey({ name, tenant, tenantId, limits = {}, expires }: NewKey, now = new Date()) {
  const id = randomBytes(6).toString('hex');
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const salt = randomBytes(16).toString('hex');
  const entry: KeyEntry = {
    id,
    name,
    ...(tenant === undefined ? {} : { tenant }),
    tenantId: tenantId ?? digestOf(tenant === undefined ? `tenant of the key ${id}` : `tenant named ${tenant}`),
    salt,
    hash: hashOf(secret, salt).toString('hex'),
    limits,
    created: now.toISOString(),
    ...(expires === undefined ? {} : { expires: expires.toISOString() }),
  };
  return { entry, key: `bsk_${id}_${secret}` };
}

/** The id and the secret of a key; undefined for what does not look like one. */
export function partsOf(key: string): { id: string; secret: string } | undefined {
  const [, id, secret] = FORM.exec(key) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/** Takes the same time for every secret. */
export function isSecretOf(secret: string, { salt, hash }: Pick<KeyEntry, 'salt' | 'hash'>): boolean {
  return timingSafeEqual(hashOf(secret, salt), Buffer.from(hash, 'hex'));
}

function hashOf(secret: string, salt: string): Buffer {
  return createHmac('sha256', Buffer.from(salt, 'hex')).update(secret, 'utf8').digest();
}

function digestOf(words: string): string {
  return createHash('sha256').update(`blockstitch ${words}`, 'utf8').digest('hex').slice(0, 32);
}
