/** Records of documents without any computation, for tests of shelves and registries. */
import { COMMON_SCOPE } from '../../src/cache/tiers.js';
import type { DocumentRecord } from '../../src/documents/document-record.js';
import type { DocumentRegistry } from '../../src/documents/document-registry.js';

export function documentRecord(id: string, fields: Partial<DocumentRecord> = {}): DocumentRecord {
  return { id, text: `Text of ${id}.`, segmentation: {}, createdAt: 1, segments: [], blocks: [], ...fields };
}

/** Writes a record over whatever is there. */
export async function putRecord(
  registry: DocumentRegistry,
  record: DocumentRecord,
  scope = COMMON_SCOPE,
): Promise<void> {
  const written = await registry.replace(scope, record, await registry.find(scope, record.id));
  if (written === undefined) throw new Error('another writer was faster');
}

export async function textOf(
  registry: DocumentRegistry,
  id: string,
  scope = COMMON_SCOPE,
): Promise<string | undefined> {
  const found = await registry.find(scope, id);
  return found.state === 'found' ? found.record.text : undefined;
}
