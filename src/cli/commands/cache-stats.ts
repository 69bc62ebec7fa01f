/**
 * `blockstitch cache stats`: sizes of the store, of each tenant and of each document, and what their ingestion computed.
 * Knows flags and words; `../stores/store-sums.ts` counts.
 */
import type { Command } from 'commander';
import type { PrefillCost } from '../../documents/document-record.js';
import { formatBytes } from '../../units.js';
import { openStore, withStore } from '../stores/open-store.js';
import { dateOf, storeCommand, storeSettings, tenantNames } from '../stores/store-command.js';
import { type DocumentSum, type StoreSums, sumStore } from '../stores/store-sums.js';
import { openTerminal, table } from '../terminal.js';

export function addStats(cache: Command): void {
  const command = storeCommand(
    cache,
    'stats',
    'sizes of the store and of each tenant, and what ingestion computed for it',
  )
    .option('--documents', 'each document too: tokens, bytes, and what its ingestion computed', false)
    .addHelpText(
      'after',
      '\nPrefilled: tokens that ingestion computed, and seconds of engine steps; what was found cached costs nothing.' +
        '\nDocuments that older versions ingested do not say what they cost.',
    );
  command.action(async (flags: { documents: boolean; json: boolean }) => {
    const config = storeSettings(command);
    const names = await tenantNames(config);
    await withStore(await openStore(config), async (store) => {
      const documents: DocumentSum[] = [];
      const sums = await sumStore(store, flags.documents ? (document) => documents.push(document) : undefined);
      const terminal = openTerminal({ colours: !flags.json });
      const listed = flags.documents ? documents : undefined;
      if (flags.json) terminal.print(JSON.stringify(asJson(store.name, sums, names, listed), null, 2));
      else for (const text of asText(store.name, sums, names, listed)) terminal.print(text);
    });
  });
}

type Names = ReadonlyMap<string, string>;

function asJson(store: string, sums: StoreSums, names: Names, documents: readonly DocumentSum[] | undefined) {
  const tenants = bySize(sums).map(([tag, { usedMs, cost, ...sum }]) => ({
    tenant: tag,
    name: names.get(tag) ?? null,
    ...sum,
    prefilled: wireCost(cost),
    last_used: dateOf(usedMs),
  }));
  const listed = documents?.map(({ tag, cost, ...document }) => ({
    tenant: tag ?? null,
    ...document,
    prefilled: cost === undefined ? null : wireCost(cost),
  }));
  const { damaged } = sums;
  const whole = { store, ...total(sums), documents: sums.documents, damaged_documents: damaged, tenants };
  return listed === undefined ? whole : { ...whole, each_document: listed };
}

function* asText(store: string, sums: StoreSums, names: Names, documents: readonly DocumentSum[] | undefined) {
  const { blocks, bytes } = total(sums);
  const damaged = sums.damaged === 0 ? '' : `, ${sums.damaged} of them damaged`;
  yield `${store}: ${blocks} blocks, ${formatBytes(bytes)}; ${sums.documents} documents${damaged}`;
  const rows = bySize(sums).map(([tag, sum]) => [
    names.get(tag) ?? tag,
    sum.blocks,
    formatBytes(sum.bytes),
    sum.documents,
    ...costCells(sum.cost),
    dateOf(sum.usedMs) ?? 'unknown',
  ]);
  const head = ['tenant', 'blocks', 'bytes', 'documents', 'tokens prefilled', 'seconds', 'last used'];
  if (rows.length > 0) yield table([head, ...rows]);
  if (documents === undefined || documents.length === 0) return;
  const each = documents.map(({ tag, id, tokens, bytes: size, cost }) => [
    names.get(tag ?? '') ?? tag ?? 'unknown',
    id,
    tokens,
    formatBytes(size),
    ...costCells(cost),
  ]);
  yield table([['tenant', 'document', 'tokens', 'bytes', 'tokens prefilled', 'seconds'], ...each]);
}

function bySize({ tenants }: StoreSums) {
  return [...tenants].sort(([, a], [, b]) => b.bytes - a.bytes);
}

function total({ tenants }: StoreSums): { blocks: number; bytes: number } {
  const all = [...tenants.values()];
  const sum = (of: 'blocks' | 'bytes') => all.reduce((before, each) => before + each[of], 0);
  return { blocks: sum('blocks'), bytes: sum('bytes') };
}

function wireCost({ blocks, tokens, ms }: PrefillCost) {
  return { blocks, tokens, seconds: ms / 1000 };
}

function costCells(cost: PrefillCost | undefined): (string | number)[] {
  return cost === undefined ? ['unknown', 'unknown'] : [cost.tokens, (cost.ms / 1000).toFixed(1)];
}
