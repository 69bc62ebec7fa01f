/**
 * Writes records while others write, too. Each change starts from the record that is there. If another server was
 * faster, it starts again. So the next record names every block that the last one named, or the block is dropped, or it
 * is gone already.
 */
import type { BlockKey, CacheScope } from '../cache/tiers.js';
import { BlockstitchError } from '../errors.js';
import { isNewer } from './acceptance.js';
import type { DocumentParts, SharedParts } from './document-parts.js';
import { type DocumentRecord, namedKeys, succeeding, withoutOrphans } from './document-record.js';
import type { DocumentRegistry, Found } from './document-registry.js';

/** Other servers that may be faster, one after another, before a writer gives up. */
const MAX_TRIES = 16;

/**
 * Makes a change of a record until no other server comes between. `change` gives undefined to look again.
 * @throws BlockstitchError `store_failed`
 */
export async function untilUndisturbed<T>(
  registry: DocumentRegistry,
  scope: CacheScope,
  id: string,
  change: (found: Found) => Promise<T | undefined>,
): Promise<T> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const result = await change(await registry.find(scope, id));
    if (result !== undefined) return result;
  }
  throw new BlockstitchError('store_failed', { reason: `other servers change the document \`${id}\` all the time` });
}

/** What is there names: the blocks of a record, or what can still be read of a damaged one. */
export function keysOf(found: Found): Set<BlockKey> {
  return found.state === 'found' ? namedKeys(found.record) : new Set(found.state === 'damaged' ? found.keys : []);
}

export interface Registered {
  /** What is there now. */
  record: DocumentRecord;
  /** False if what was there is newer, and stays. */
  written: boolean;
}

/**
 * Registers a document in place of whatever has its id, unless that was accepted later. The record is durable first;
 * then what only its predecessor had is dropped. What cannot be dropped is still named by the record, for a later delete
 * or replacement.
 *
 * @param others keys that the predecessor should have named
 * @throws BlockstitchError `store_failed`; nothing is registered then
 */
export async function register(
  { registry, cache, logger }: Pick<SharedParts, 'registry' | 'cache' | 'logger'>,
  scope: CacheScope,
  record: DocumentRecord,
  others: readonly BlockKey[],
): Promise<Registered> {
  let newer = false;
  const there = await untilUndisturbed(registry, scope, record.id, async (found) => {
    newer = isNewer(found, record.acceptedMs ?? 0);
    if (newer && found.state === 'found') return found;
    const before = found.state === 'found' ? found.record : undefined;
    return registry.replace(scope, succeeding(record, before, [...keysOf(found), ...others]), found);
  });
  if (newer) return { record: there.record, written: false };
  const { orphans = [] } = there.record;
  if (orphans.length === 0) return { record: there.record, written: true };
  const { failure } = await cache.forget({ keys: orphans });
  if (failure !== undefined) {
    logger.warn(
      { id: record.id, blocks: orphans.length, reason: failure },
      'blocks of a replaced document stay for now',
    );
    return { record: there.record, written: true };
  }
  const clean = withoutOrphans(there.record);
  // Where this fails, the record names blocks that are gone: no harm.
  await registry.replace(scope, clean, there).catch(() => undefined);
  return { record: clean, written: true };
}

/**
 * Drops every block that the record names, then the record. Where a block may be left, the record stays, so that a
 * second try finishes what the first could not.
 *
 * @throws BlockstitchError `document_not_found`, `store_failed`
 */
export async function unregister(
  { registry, cache }: Pick<DocumentParts, 'cache'> & { registry: DocumentRegistry },
  scope: CacheScope,
  id: string,
  others: readonly BlockKey[] = [],
): Promise<void> {
  const dropped = new Set<BlockKey>(others);
  await untilUndisturbed(registry, scope, id, async (found) => {
    if (found.state === 'absent') throw new BlockstitchError('document_not_found', { id }, { param: 'id' });
    for (const key of keysOf(found)) dropped.add(key);
    const { failure } = await cache.forget({ keys: [...dropped] });
    if (failure !== undefined) {
      const reason = `some blocks of the document \`${id}\` are still stored: ${failure}`;
      throw new BlockstitchError('store_failed', { reason });
    }
    return (await registry.remove(scope, id, found)) ? true : undefined;
  });
}
