/**
 * `blockstitch cache stats | list | verify | prune | migrate | export | import`: looks after the store of blocks and
 * documents without a server, over LMDB or Redis. Knows flags and words; `cache-stats.ts` has the first one,
 * `cache-moves.ts` the last three, and `../stores` knows stores, items and files.
 */

import type { Command } from 'commander';
import { inspectBlock } from '../../cache/block-codec.js';
import type { StoreListing } from '../../cache/byte-store.js';
import { StoreMacs } from '../../cache/store-macs.js';
import type { Config } from '../../config.js';
import { formatBytes, parseMilliseconds } from '../../units.js';
import { wholeFlag } from '../setting-options.js';
import { checkDocuments } from '../stores/document-checks.js';
import { openStore, withStore } from '../stores/open-store.js';
import { dateOf, invalid, prefixOf, storeCommand, storeSettings } from '../stores/store-command.js';
import { openTerminal, table } from '../terminal.js';
import { addExport, addImport, addMigrate } from './cache-moves.js';
import { addStats } from './cache-stats.js';

/** Keys deleted in one call. */
const DELETED_AT_ONCE = 256;

export function addCache(program: Command): void {
  const cache = program
    .command('cache')
    .description('look after the store of blocks and documents (LMDB: stop the server before you change it)')
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 damaged values were found or the store failed, 2 wrong usage or settings.',
    );
  addStats(cache);
  addList(cache);
  addVerify(cache);
  addPrune(cache);
  addMigrate(cache);
  addExport(cache);
  addImport(cache);
}

function addList(cache: Command): void {
  const command = storeCommand(cache, 'list', 'list blocks with size and last use')
    .option('--tenant <name>', "a name of the key file, or the first 16 digits of the tenant's blocks")
    .option('--limit <number>', 'most blocks that are listed', '100');
  command.action(async (flags: { tenant?: string; limit: string; json: boolean }) => {
    const config = storeSettings(command);
    const limit = wholeFlag('--limit', flags.limit, 1);
    const prefix = await prefixOf(config, flags.tenant);
    await withStore(await openStore(config), async ({ blocks }) => {
      const listed: StoreListing[] = [];
      for await (const each of blocks.list(prefix)) {
        if (listed.length >= limit) break;
        listed.push(each);
      }
      const terminal = openTerminal({ colours: !flags.json });
      if (flags.json) {
        const rows = listed.map(({ key, bytes, usedMs, kept }) => ({
          hash: key,
          bytes,
          last_used: dateOf(usedMs),
          kept: kept ?? null,
        }));
        terminal.print(JSON.stringify(rows, null, 2));
      } else {
        const rows = listed.map(({ key, bytes, usedMs, kept }) => [
          key,
          bytes,
          dateOf(usedMs) ?? 'unknown',
          kept ? 'of a document' : '',
        ]);
        terminal.print(table([['hash', 'bytes', 'last used', ''], ...rows]));
        if (listed.length === limit) terminal.note(`the first ${limit}: --limit shows more`);
      }
    });
  });
}

function addVerify(cache: Command): void {
  const command = storeCommand(
    cache,
    'verify',
    'read every block and document, and check length, checksums, key and signature',
  )
    .option('--tenant <name>', 'only what is of this tenant')
    .option('--delete', 'delete damaged blocks: they are computed anew when they are needed; documents stay', false);
  command.action(async (flags: { tenant?: string; delete: boolean; json: boolean }) => {
    const config = storeSettings(command);
    const macs = StoreMacs.ofSetting(config.storeHmacKeys);
    const prefix = await prefixOf(config, flags.tenant);
    await withStore(await openStore(config), async ({ blocks, documents }) => {
      const terminal = openTerminal({ colours: !flags.json });
      const bar = terminal.progress('checking');
      const { entries } = await blocks.statistics();
      const models = new Map<string, { model: string; dtype: string; blocks: number; tokens: number; bytes: number }>();
      const damaged: { hash: string; reason: string }[] = [];
      let checked = 0;
      for await (const { key } of blocks.list(prefix)) {
        const [value] = await blocks.get([key]);
        bar.update(++checked, Math.max(entries, checked));
        if (value === undefined) continue;
        const found = await inspectBlock(key, value, macs);
        if (!found.ok) {
          damaged.push({ hash: key, reason: found.reason });
          continue;
        }
        const { fingerprint, dtype } = found.shape;
        const of = models.get(`${fingerprint} ${dtype}`) ?? {
          model: fingerprint,
          dtype,
          blocks: 0,
          tokens: 0,
          bytes: 0,
        };
        models.set(`${fingerprint} ${dtype}`, of);
        of.blocks += 1;
        of.tokens += found.tokens;
        of.bytes += value.byteLength;
      }
      const records = await checkDocuments(documents, prefix, macs);
      bar.stop();
      if (flags.delete && damaged.length > 0) await blocks.delete(damaged.map(({ hash }) => hash));
      if (flags.json) {
        terminal.print(
          JSON.stringify(
            { checked, damaged, deleted: flags.delete, models: [...models.values()], documents: records },
            null,
            2,
          ),
        );
      } else {
        for (const { hash, reason } of damaged)
          terminal.print(`${terminal.colour('red', 'damaged')} ${hash}: ${reason}`);
        for (const { id, reason } of records.damaged)
          terminal.print(`${terminal.colour('red', 'damaged')} document ${JSON.stringify(id)}: ${reason}`);
        const rows = [...models.values()].map((of) => [
          of.model.slice(0, 16),
          of.dtype,
          of.blocks,
          of.tokens,
          formatBytes(of.bytes),
        ]);
        if (rows.length > 0) terminal.print(table([['model', 'type', 'blocks', 'tokens', 'bytes'], ...rows]));
        const what = flags.delete ? 'damaged and deleted' : 'damaged';
        terminal.print(`${checked} blocks checked, ${damaged.length} ${what}`);
        terminal.print(`${records.checked} documents checked, ${records.damaged.length} damaged`);
      }
      if (records.damaged.length > 0 || (damaged.length > 0 && !flags.delete)) process.exitCode = 1;
    });
  });
}

function addPrune(cache: Command): void {
  const command = storeCommand(cache, 'prune', 'delete blocks by last use, tenant or model; all conditions must hold')
    .option(
      '--unused <time>',
      'not used for so long, such as 30d; of Redis its own idle time counts. When a block was made is not kept',
    )
    .option('--tenant <name>', 'of this tenant')
    .option('--model <fingerprint>', 'of this model: the first digits that verify shows')
    .option('--other-models <fingerprint>', 'of every model but this one')
    .option('--dry-run', 'only say what would go', false);
  command.action(async (flags: PruneFlags) => {
    const config = storeSettings(command);
    const goes = await pruneRule(config, flags);
    await withStore(await openStore(config), async ({ blocks }) => {
      const terminal = openTerminal({ colours: !flags.json });
      const bar = terminal.progress('looking');
      const { entries } = await blocks.statistics();
      const victims: string[] = [];
      let [seen, bytes] = [0, 0];
      for await (const each of blocks.list(goes.prefix)) {
        bar.update(++seen, Math.max(entries, seen));
        if (!goes.byUse(each)) continue;
        if (goes.byModel !== undefined) {
          const [value] = await blocks.get([each.key]);
          const found = value && (await inspectBlock(each.key, value));
          if (!found?.ok || !goes.byModel(found.shape.fingerprint)) continue;
        }
        victims.push(each.key);
        bytes += each.bytes;
      }
      bar.stop();
      for (let at = 0; !flags.dryRun && at < victims.length; at += DELETED_AT_ONCE) {
        await blocks.delete(victims.slice(at, at + DELETED_AT_ONCE));
      }
      if (flags.json) terminal.print(JSON.stringify({ blocks: victims.length, bytes, deleted: !flags.dryRun }));
      else {
        const did = flags.dryRun ? 'would be deleted' : 'deleted';
        terminal.print(`${victims.length} of ${seen} blocks ${did}, ${formatBytes(bytes)}`);
      }
    });
  });
}

interface PruneFlags {
  unused?: string;
  tenant?: string;
  model?: string;
  otherModels?: string;
  dryRun: boolean;
  json: boolean;
}

async function pruneRule(config: Config, { unused, tenant, model, otherModels }: PruneFlags) {
  if ([unused, tenant, model, otherModels].every((flag) => flag === undefined)) {
    throw invalid('prune', 'name a condition: --unused, --tenant, --model or --other-models');
  }
  for (const [flag, given] of [
    ['--model', model],
    ['--other-models', otherModels],
  ] as const) {
    if (given !== undefined && !/^[0-9a-f]{8,64}$/.test(given))
      throw invalid(flag, `${given} is not 8 to 64 hex digits`);
  }
  const ms = unused === undefined ? undefined : parseMilliseconds(unused);
  if (unused !== undefined && (ms === undefined || /^[\d.]+$/.test(unused.trim()))) {
    throw invalid('--unused', `${JSON.stringify(unused)} is not a time such as 30d or 12h`);
  }
  const beforeMs = ms === undefined ? undefined : Date.now() - ms;
  const byModel = (fingerprint: string) =>
    (model === undefined || fingerprint.startsWith(model)) &&
    (otherModels === undefined || !fingerprint.startsWith(otherModels));
  return {
    prefix: await prefixOf(config, tenant),
    byUse: ({ usedMs }: StoreListing) => beforeMs === undefined || (usedMs !== undefined && usedMs <= beforeMs),
    ...(model === undefined && otherModels === undefined ? {} : { byModel }),
  };
}
