/**
 * Checks the records of documents in a store: checksum, place, and signature if keys are given.
 * Knows records; `commands/cache.ts` has the words.
 */
import type { StoreMacs } from '../../cache/store-macs.js';
import { namedKeys } from '../../documents/document-record.js';
import { recordIn } from '../../documents/document-registry.js';
import { JsonSeal } from '../../documents/sealed-json.js';
import type { OpenStore } from './open-store.js';
import { idsOf } from './store-items.js';

export interface CheckedDocuments {
  checked: number;
  damaged: { id: string; reason: string }[];
}

/** @param prefix what the tenant's block keys begin with; '' for all tenants. A record says by its keys whose it is */
export async function checkDocuments(
  documents: OpenStore['documents'],
  prefix: string,
  macs: StoreMacs | undefined,
): Promise<CheckedDocuments> {
  const seal = new JsonSeal(macs);
  const found: CheckedDocuments = { checked: 0, damaged: [] };
  for await (const tenant of documents.tenants()) {
    for await (const id of idsOf(documents, tenant)) {
      const value = await documents.get(tenant, id);
      if (value === undefined) continue;
      const record = recordIn(tenant, id, value, seal);
      const isOfTenant = 'damage' in record ? value.includes(`"${prefix}`) : namesTenant(namedKeys(record), prefix);
      if (!isOfTenant) continue;
      found.checked += 1;
      if ('damage' in record) found.damaged.push({ id, reason: record.damage });
      // Records hold whole texts.
      await new Promise(setImmediate);
    }
  }
  return found;
}

function namesTenant(keys: ReadonlySet<string>, prefix: string): boolean {
  return prefix === '' || [...keys].some((key) => key.startsWith(prefix));
}
