/**
 * `blockstitch cache migrate | export | import`: blocks and documents from one store into another, or into a file and back.
 * Knows flags and words; `../stores` knows stores, items and files.
 */
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { Command } from 'commander';
import { StoreMacs } from '../../cache/store-macs.js';
import { formatBytes } from '../../units.js';
import { openStore, withStore } from '../stores/open-store.js';
import { type Output, standardOutput, withOutputFile } from '../stores/output-file.js';
import { invalid, prefixOf, storeCommand, storeSettings } from '../stores/store-command.js';
import { readStoreFile, writeStoreFile } from '../stores/store-file.js';
import { type Copied, copyItems, itemsOf, signWhereTheyAre } from '../stores/store-items.js';
import { openTerminal } from '../terminal.js';

export function addMigrate(cache: Command): void {
  const command = storeCommand(
    cache,
    'migrate',
    'copy blocks and documents to another store, or sign them anew where they are',
  )
    .option('--to-dir <directory>', 'an LMDB store, made if there is none')
    .option('--to-redis <url>', 'a Redis')
    .option('--trust-unsigned', 'with --store-hmac-keys: take what nobody signed, and sign it', false);
  command.action(async (flags: { toDir?: string; toRedis?: string; trustUnsigned: boolean; json: boolean }) => {
    const config = storeSettings(command);
    const macs = StoreMacs.ofSetting(config.storeHmacKeys);
    if (flags.toDir !== undefined && flags.toRedis !== undefined)
      throw invalid('--to-redis', 'it is given beside --to-dir');
    if (flags.toDir === undefined && flags.toRedis === undefined && macs === undefined) {
      throw invalid(
        'migrate',
        'name --to-dir or --to-redis; or --store-hmac-keys, to sign blocks and documents where they are',
      );
    }
    await withStore(await openStore(config), async (source) => {
      const terminal = openTerminal({ colours: !flags.json });
      const bar = terminal.progress('copying');
      const { entries } = await source.blocks.statistics();
      let done = 0;
      const options = {
        macs,
        trustUnsigned: flags.trustUnsigned,
        onItem: () => bar.update(++done, Math.max(entries, done)),
      };
      try {
        if (flags.toDir === undefined && flags.toRedis === undefined && macs !== undefined) {
          report(await signWhereTheyAre(source, { ...options, macs }), flags.json);
          return;
        }
        const to = { ...config, redisUrl: flags.toRedis ?? '', storeDir: flags.toDir ?? config.storeDir };
        const copied = await withStore(await openStore(to, true), (target) =>
          copyItems(itemsOf(source), target, options),
        );
        report(copied, flags.json);
      } finally {
        bar.stop();
      }
    });
  });
}

export function addExport(cache: Command): void {
  const command = storeCommand(cache, 'export', 'write blocks and documents to a file')
    .argument('<file>', 'file to write; - for standard output')
    .option('--tenant <name>', 'only blocks of this tenant, and no documents');
  command.action(async (file: string, flags: { tenant?: string; json: boolean }) => {
    const config = storeSettings(command);
    const prefix = await prefixOf(config, flags.tenant);
    await withStore(await openStore(config), async (store) => {
      const terminal = openTerminal({ colours: false });
      let bytes = 0;
      const writeTo = (output: Output) =>
        writeStoreFile(itemsOf(store, prefix), (part) => {
          bytes += part.byteLength;
          return output.write(part);
        });
      const items = await (file === '-' ? writeTo(standardOutput) : withOutputFile(file, writeTo));
      if (flags.json && file !== '-') terminal.print(JSON.stringify({ items, bytes }));
      else terminal.note(`${items} items, ${formatBytes(bytes)}`);
    });
  });
}

export function addImport(cache: Command): void {
  const command = storeCommand(cache, 'import', 'take blocks and documents from a file; what is there already stays')
    .argument('<file>', 'file to read; - for standard input')
    .option('--trust-unsigned', 'with --store-hmac-keys: take what nobody signed, and sign it', false);
  command.action(async (file: string, flags: { trustUnsigned: boolean; json: boolean }) => {
    const config = storeSettings(command);
    const macs = StoreMacs.ofSetting(config.storeHmacKeys);
    const input = file === '-' ? process.stdin : await opened(file);
    const items = await begun(readStoreFile(input, file === '-' ? 'Standard input' : file));
    await withStore(await openStore(config, true), async (store) => {
      report(await copyItems(items, store, { macs, trustUnsigned: flags.trustUnsigned }), flags.json);
    });
  });
}

/** Reads up to the first item, before a store is made: what is no export makes none. */
async function begun<T>(items: AsyncGenerator<T>): Promise<AsyncGenerator<T>> {
  const first = await items.next();
  return (async function* () {
    if (first.done) return;
    yield first.value;
    yield* items;
  })();
}

/** Before a store is made. @throws BlockstitchError `config_invalid` if the file cannot be read */
async function opened(file: string): Promise<Readable> {
  try {
    const handle = await open(file);
    if (!(await handle.stat()).isDirectory()) return handle.createReadStream();
    await handle.close();
  } catch (cause) {
    throw invalid(file, (cause as Error).message);
  }
  throw invalid(file, 'it is a folder');
}

/** What was refused ends the command with 1: somebody should look at it. */
function report({ blocks, documents, there, refused }: Copied, json: boolean): void {
  const terminal = openTerminal({ colours: !json });
  if (json) terminal.print(JSON.stringify({ blocks, documents, there, refused }));
  else {
    terminal.print(`${blocks} blocks and ${documents} documents written, ${there} were there already`);
    for (const [reason, count] of Object.entries(refused)) terminal.print(`${count} refused: ${reason}`);
  }
  if (Object.keys(refused).length > 0) process.exitCode = 1;
}
