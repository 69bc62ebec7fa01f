/**
 * Documents by scope and id: records on a shelf, each under a checksum, listed in pages.
 * Knows records and the damage of one. The shelf knows where they are kept; `document-record.ts` knows what they hold.
 */
import { tenantTag } from '../cache/block-key.js';
import type { StoreMacs } from '../cache/store-macs.js';
import type { BlockKey, CacheScope } from '../cache/tiers.js';
import { BlockstitchError } from '../errors.js';
import type { DocumentRecord } from './document-record.js';
import { type DocumentShelf, type Head, headOf, idKey, shelfName } from './document-shelf.js';
import { JsonSeal, NOT_SIGNED, type Unsealed } from './sealed-json.js';

/** What the shelf has under an id. `head` is what a writer gives back. */
export type Found =
  | { state: 'absent'; head: undefined }
  | FoundRecord
  /** `keys`: what can still be read of the blocks that the record named. */
  | { state: 'damaged'; head: Head; reason: string; keys: BlockKey[] };

export interface FoundRecord {
  state: 'found';
  head: Head;
  record: DocumentRecord;
}

export interface ListOptions {
  /** Id after which the page begins. */
  after?: string;
  limit: number;
}

export interface RecordPage {
  records: DocumentRecord[];
  /** Ids on this page whose records are damaged. */
  damaged: string[];
  /** The last id that was read, whatever became of it. */
  lastId: string | undefined;
  hasMore: boolean;
}

/** Ids without a record that one page looks past. */
const MAX_PASSED = 1000;
/** Damaged records that are remembered as reported. */
const MAX_REPORTED = 1000;

export class DocumentRegistry {
  readonly #shelf: DocumentShelf;
  readonly #onDamaged: (id: string, reason: string) => void;
  readonly #seal: JsonSeal;
  readonly #reported = new Set<string>();

  /** @param onDamaged told once of each damaged record @param seal signs records if it has keys, and refuses others */
  constructor(
    shelf: DocumentShelf,
    onDamaged: (id: string, reason: string) => void = () => undefined,
    seal = new JsonSeal(),
  ) {
    this.#shelf = shelf;
    this.#seal = seal;
    this.#onDamaged = onDamaged;
  }

  /** @throws BlockstitchError `store_failed` */
  async find(scope: CacheScope, id: string): Promise<Found> {
    const tenant = shelfName(scope);
    const place = placeOf(tenant, id);
    const bytes = await asked(() => this.#shelf.get(tenant, id));
    if (bytes === undefined) return { state: 'absent', head: undefined };
    const head = headOf(bytes);
    const unsealed = this.#seal.unseal(place, bytes);
    const reason = reasonOf(unsealed, id);
    if (!unsealed.ok || reason !== undefined) {
      this.#report(place, id, reason ?? '');
      return { state: 'damaged', head, reason: reason ?? '', keys: keysIn(bytes, scope) };
    }
    const found: FoundRecord = { state: 'found', head, record: recordOf(unsealed.value) };
    return unsealed.sealed ? found : this.#renewed(scope, found);
  }

  /**
   * Writes a record over what was found. Durable when it resolves.
   * @returns what is there now; undefined if another writer was faster, and nothing is written then
   * @throws BlockstitchError `store_failed`
   */
  async replace(scope: CacheScope, record: DocumentRecord, over: Found): Promise<FoundRecord | undefined> {
    const tenant = shelfName(scope);
    const bytes = this.#seal.seal(placeOf(tenant, record.id), record);
    const written = await asked(() => this.#shelf.put(tenant, record.id, bytes, over.head));
    return written ? { state: 'found', head: headOf(bytes), record } : undefined;
  }

  /** @returns false if another writer was faster @throws BlockstitchError `store_failed` */
  async remove(scope: CacheScope, id: string, found: Found): Promise<boolean> {
    return asked(() => this.#shelf.remove(shelfName(scope), id, found.head));
  }

  /** One page in the order of ids. An id without a record is taken off the list. @throws BlockstitchError `store_failed` */
  async list(scope: CacheScope, { after, limit }: ListOptions): Promise<RecordPage> {
    const tenant = shelfName(scope);
    const page: RecordPage = { records: [], damaged: [], lastId: undefined, hasMore: false };
    let passed = 0;
    for (let from = after; ; ) {
      const wanted = limit - page.records.length - page.damaged.length;
      const ids = await asked(() => this.#shelf.listIds(tenant, from, wanted + 1));
      page.hasMore = ids.length > wanted;
      if (wanted === 0) return page;
      for (const id of ids.slice(0, wanted)) {
        const found = await this.find(scope, id);
        page.lastId = id;
        if (found.state === 'found') page.records.push(found.record);
        else if (found.state === 'damaged') page.damaged.push(id);
        else {
          passed += 1;
          await asked(() => this.#shelf.unlist(tenant, id));
        }
        // Records hold whole texts: reading a page of them must not hold the event loop.
        await new Promise(setImmediate);
      }
      if (!page.hasMore || passed >= MAX_PASSED) return page;
      if (page.records.length + page.damaged.length === limit) return page;
      from = page.lastId;
    }
  }

  /** A record of before there were checksums is written anew: under one, and without the salt that it held. */
  async #renewed(scope: CacheScope, found: FoundRecord): Promise<Found> {
    const renewed = await this.replace(scope, found.record, found).catch(() => undefined);
    return renewed ?? found;
  }

  #report(place: string, id: string, reason: string): void {
    if (this.#reported.has(place)) return;
    if (this.#reported.size >= MAX_REPORTED) this.#reported.clear();
    this.#reported.add(place);
    this.#onDamaged(id, reason);
  }
}

/** Asks a store. @throws BlockstitchError `store_failed` */
export async function asked<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BlockstitchError('store_failed', { reason }, { cause });
  }
}

/**
 * The document in a stored value, or what is wrong with it. @param tenant its name on the shelf
 * @param seal has the keys of signatures, if there are any
 */
export function recordIn(
  tenant: string,
  id: string,
  bytes: Buffer,
  seal = new JsonSeal(),
): DocumentRecord | { damage: string } {
  const unsealed = seal.unseal(placeOf(tenant, id), bytes);
  const damage = reasonOf(unsealed, id);
  if (!unsealed.ok || damage !== undefined) return { damage: damage ?? '' };
  return recordOf(unsealed.value);
}

/**
 * A stored document as it is stored from now on: signed with the first key.
 * @param trustUnsigned whether one that nobody signed is taken
 * @returns what is wrong with it, if it is not taken
 */
export function signedRecord(
  { tenant, id, value }: { tenant: string; id: string; value: Buffer },
  macs: StoreMacs,
  trustUnsigned: boolean,
): Buffer | string {
  const seal = new JsonSeal(macs);
  let record = recordIn(tenant, id, value, seal);
  if (trustUnsigned && 'damage' in record && record.damage === NOT_SIGNED) record = recordIn(tenant, id, value);
  return 'damage' in record ? record.damage : seal.seal(placeOf(tenant, id), record);
}

/** Records of early versions held the salt. */
function recordOf(value: object): DocumentRecord {
  const { cacheSalt: _salt, ...record } = value as DocumentRecord & { cacheSalt?: string };
  return record;
}

function reasonOf(unsealed: Unsealed, id: string): string | undefined {
  return unsealed.ok ? wrongIn(unsealed.value, id) : unsealed.reason;
}

function placeOf(tenant: string, id: string): string {
  return `${tenant}/${idKey(id)}`;
}

/** @returns what keeps it from being the record of the id */
function wrongIn(value: object, id: string): string | undefined {
  const { id: own, text, segments, blocks } = value as Partial<DocumentRecord>;
  if (own !== id) return 'it is the record of another id';
  if (typeof text !== 'string' || !Array.isArray(segments) || !Array.isArray(blocks)) return 'fields are missing';
  return undefined;
}

/** The block keys of the scope's tenant in the bytes of a damaged record. */
function keysIn(bytes: Buffer, { tenant }: CacheScope): BlockKey[] {
  const quoted = bytes.toString('latin1').matchAll(/"([0-9a-f]{64})"/g);
  const tag = tenantTag(tenant);
  return [...new Set(Array.from(quoted, ([, key = '']) => key))].filter((key) => key.startsWith(tag));
}
