/**
 * What a store holds, item by item: out of it, into another one, or on the way as a file. Blocks and records are checked on the way.
 * Knows items; `open-store.ts` opens stores, `store-file.ts` has the file.
 */
import { inspectBlock, signedAnew } from '../../cache/block-codec.js';
import type { StoreMacs } from '../../cache/store-macs.js';
import { recordIn, signedRecord } from '../../documents/document-registry.js';
import { headOf } from '../../documents/document-shelf.js';
import type { OpenStore } from './open-store.js';

export type StoreItem =
  | { kind: 'block'; key: string; value: Uint8Array; kept: boolean }
  /** `tenant`: its name on the shelf. */
  | { kind: 'document'; tenant: string; id: string; value: Uint8Array };

export interface Copied {
  blocks: number;
  documents: number;
  /** Blocks and documents that the target has already. */
  there: number;
  /** Why blocks and documents were not taken, and how often. */
  refused: Record<string, number>;
}

export interface CopyOptions {
  /** Checks signatures, and signs with the first key. */
  macs?: StoreMacs | undefined;
  /** Whether blocks without a signature are taken, and signed. */
  trustUnsigned?: boolean;
  /** Told of each item that is done. */
  onItem?: () => void;
}

const IDS_PER_PAGE = 256;

/** Blocks first: a document never comes before what it names. */
export async function* itemsOf({ blocks, documents }: OpenStore, prefix = ''): AsyncGenerator<StoreItem> {
  for await (const { key, kept = false } of blocks.list(prefix)) {
    const [value] = await blocks.get([key]);
    // It may have gone since it was listed.
    if (value !== undefined) yield { kind: 'block', key, value, kept };
  }
  if (prefix !== '') return;
  for await (const tenant of documents.tenants()) {
    for await (const id of idsOf(documents, tenant)) {
      const value = await documents.get(tenant, id);
      if (value !== undefined) yield { kind: 'document', tenant, id, value };
    }
  }
}

/** Every id of a tenant. */
export async function* idsOf(documents: OpenStore['documents'], tenant: string): AsyncGenerator<string> {
  for (let after: string | undefined; ; ) {
    const page = await documents.listIds(tenant, after, IDS_PER_PAGE);
    yield* page;
    if (page.length < IDS_PER_PAGE) return;
    after = page.at(-1);
  }
}

/** Puts items into a store. What is there already stays. */
export async function copyItems(
  items: AsyncIterable<StoreItem>,
  target: Pick<OpenStore, 'blocks' | 'documents'>,
  { macs, trustUnsigned = false, onItem }: CopyOptions = {},
): Promise<Copied> {
  const copied: Copied = { blocks: 0, documents: 0, there: 0, refused: {} };
  const refuse = (reason: string) => {
    copied.refused[reason] = (copied.refused[reason] ?? 0) + 1;
  };
  for await (const item of items) {
    if (item.kind === 'block') {
      const value = await taken(item, macs, trustUnsigned);
      if (typeof value === 'string') refuse(value);
      else if ((await target.blocks.has([item.key]))[0]) copied.there += 1;
      else {
        await target.blocks.put([{ key: item.key, value, wanted: new Set(item.kept ? [item.key] : []) }]);
        copied.blocks += 1;
      }
    } else {
      const value = takenRecord(item, macs, trustUnsigned);
      const there = await target.documents.get(item.tenant, item.id);
      if (typeof value === 'string') refuse(`of a document, ${value}`);
      else if (there !== undefined) copied.there += 1;
      else if (await target.documents.put(item.tenant, item.id, value, headOf(there))) copied.documents += 1;
    }
    onItem?.();
  }
  return copied;
}

/** Writes each block and record again under the first key, if it is not signed with that one already. */
export async function signWhereTheyAre(
  { blocks, documents }: Pick<OpenStore, 'blocks' | 'documents'>,
  { macs, trustUnsigned = false, onItem }: CopyOptions & { macs: StoreMacs },
): Promise<Copied> {
  const copied: Copied = { blocks: 0, documents: 0, there: 0, refused: {} };
  const refuse = (reason: string) => {
    copied.refused[reason] = (copied.refused[reason] ?? 0) + 1;
  };
  for await (const { key, kept = false, usedMs = 0 } of blocks.list()) {
    const [before] = await blocks.get([key]);
    if (before === undefined) continue;
    const value = await taken({ key, value: before }, macs, trustUnsigned);
    if (typeof value === 'string') refuse(value);
    else if (Buffer.compare(value, before) === 0) copied.there += 1;
    else {
      await blocks.put([{ key, value, usedMs, wanted: new Set(kept ? [key] : []) }]);
      copied.blocks += 1;
    }
    onItem?.();
  }
  for await (const tenant of documents.tenants()) {
    for await (const id of idsOf(documents, tenant)) {
      const before = await documents.get(tenant, id);
      if (before === undefined) continue;
      const value = signedRecord({ tenant, id, value: before }, macs, trustUnsigned);
      if (typeof value === 'string') refuse(`of a document, ${value}`);
      else if (value.equals(before)) copied.there += 1;
      else if (await documents.put(tenant, id, value, headOf(before))) copied.documents += 1;
      else refuse('of a document, it was changed meanwhile');
    }
  }
  return copied;
}

function takenRecord(
  { tenant, id, value }: Extract<StoreItem, { kind: 'document' }>,
  macs: StoreMacs | undefined,
  trustUnsigned: boolean,
): Buffer | string {
  const bytes = Buffer.from(value);
  if (macs !== undefined) return signedRecord({ tenant, id, value: bytes }, macs, trustUnsigned);
  const record = recordIn(tenant, id, bytes);
  return 'damage' in record ? record.damage : bytes;
}

/** The value as it is stored from now on, or why it is not taken. */
export async function taken(
  { key, value }: { key: string; value: Uint8Array },
  macs: StoreMacs | undefined,
  trustUnsigned: boolean,
): Promise<Uint8Array | string> {
  const checked = await inspectBlock(key, value, macs);
  if (!checked.ok && !(trustUnsigned && checked.reason === 'not signed')) return checked.reason;
  return macs === undefined ? value : signedAnew(value, macs);
}
