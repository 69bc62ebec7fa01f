/**
 * `blockstitch keys add | list | revoke`: changes the file of hashed API keys. A running server sees the change by itself.
 * A key is printed once, to stdout; the file never holds it.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { BlockstitchError } from '../../errors.js';
import { acquireImportLock } from '../../model/import-lock.js';
import { type KeyEntry, type KeyLimits, makeKey, readKeyFile, writeKeyFile } from '../../server/keys/key-file.js';
import { tenantId } from '../../server/keys/key-ring.js';
import { formatBytes, parseBytes, parseMilliseconds } from '../../units.js';
import { addSettings, readSettings, wholeFlag } from '../setting-options.js';
import { openTerminal, table } from '../terminal.js';

interface AddFlags {
  tenant?: string;
  adopt?: string;
  requestsPerMinute?: string;
  promptTokensPerMinute?: string;
  newTokensPerMinute?: string;
  concurrent?: string;
  storedBytes?: string;
  expires?: string;
  json: boolean;
}

export function addKeys(program: Command): void {
  const keys = program.command('keys').description('make, list and revoke hashed API keys (docs/tenants.md)');
  addAdd(keys);
  addList(keys);
  addRevoke(keys);
}

function addAdd(keys: Command): void {
  const command = keys
    .command('add')
    .description('make a key and print it, once')
    .argument('<name>', 'whose key it is; no other usable key may have the name')
    .option('--tenant <name>', 'share blocks and documents with the other keys of this tenant; by default with nobody')
    .option('--adopt <file>', 'belong to the tenant of the plain key in this file, so that its documents stay')
    .option('--requests-per-minute <number>', 'most requests a minute')
    .option('--prompt-tokens-per-minute <number>', 'most prompt tokens a minute')
    .option('--new-tokens-per-minute <number>', 'most generated tokens a minute')
    .option('--concurrent <number>', 'most requests at once, on one server')
    .option('--stored-bytes <size>', "most bytes of the tenant's blocks in the store; the largest of its keys counts")
    .option('--expires <time>', 'how long the key is good, such as 90d or 12h; for ever by default')
    .option('--json', 'print the entry and the key as JSON', false);
  addSettings(command, ['keyFile']);
  command.action(async (name: string, flags: AddFlags) => {
    const path = keyFileOf(command);
    for (const [what, given] of Object.entries({ name, '--tenant': flags.tenant })) {
      if (given !== undefined && /^\s*$|\p{Cc}/u.test(given))
        throw invalid(what, 'it is blank, or holds control characters');
    }
    if (flags.tenant !== undefined && flags.adopt !== undefined) {
      throw invalid('--adopt', 'it names a tenant, and so does --tenant');
    }
    const adopted = flags.adopt === undefined ? {} : { tenantId: await tenantOf(flags.adopt) };
    const expires = flags.expires === undefined ? {} : { expires: expiry(flags.expires) };
    const tenant = flags.tenant === undefined ? {} : { tenant: flags.tenant };
    const { entry, key } = makeKey({ name, ...tenant, ...adopted, ...expires, limits: limitsOf(flags) });
    const withEntry = (entries: KeyEntry[]) => {
      if (entries.some((each) => each.name === name && each.revoked === undefined)) {
        throw invalid('name', `${JSON.stringify(name)} has a key already: revoke it first, or choose another name`);
      }
      return [...entries, entry];
    };
    await change(path, withEntry, readIfThere);
    const terminal = openTerminal({ colours: false });
    if (flags.json) terminal.print(JSON.stringify({ ...shown(entry), key }, null, 2));
    else {
      terminal.print(key);
      terminal.note(`${name} has the key ${entry.id} in ${path}. It is shown this once and stored nowhere.`);
    }
  });
}

function addList(keys: Command): void {
  const command = keys
    .command('list')
    .description('list keys with tenants, limits and expiry')
    .option('--json', 'print them as JSON', false);
  addSettings(command, ['keyFile']);
  command.action(async ({ json }: { json: boolean }) => {
    const entries = await read(keyFileOf(command));
    const terminal = openTerminal({ colours: !json });
    if (json) terminal.print(JSON.stringify(entries.map(shown), null, 2));
    else {
      const rows = entries.map((entry) => {
        const { id, name, tenant = '(its own)', limits } = entry;
        return [id, name, tenant, stateOf(entry), limitWords(limits)];
      });
      terminal.print(table([['id', 'name', 'tenant', 'state', 'limits'], ...rows]));
    }
  });
}

function addRevoke(keys: Command): void {
  const command = keys
    .command('revoke')
    .description('make a key useless; its blocks and documents stay')
    .argument('<key>', 'name or id');
  addSettings(command, ['keyFile']);
  command.action(async (key: string) => {
    const path = keyFileOf(command);
    const revoked = new Date().toISOString();
    await change(path, (entries) => {
      const found = entries.find((each) => (each.id === key || each.name === key) && each.revoked === undefined);
      if (found === undefined) throw invalid('key', `${path} has no usable key ${JSON.stringify(key)}`);
      return entries.map((each) => (each === found ? { ...each, revoked } : each));
    });
    openTerminal().note(`${key} is revoked: servers refuse it within a second or two`);
  });
}

/** One change at a time, also among processes. @param before reads what is there */
async function change(path: string, to: (entries: KeyEntry[]) => KeyEntry[], before = read): Promise<void> {
  try {
    const release = await acquireImportLock(`${path}.lock`);
    try {
      await writeKeyFile(path, to(await before(path)));
    } finally {
      await release();
    }
  } catch (cause) {
    if (cause instanceof BlockstitchError) throw cause;
    throw invalid('--key-file', cause instanceof Error ? cause.message : String(cause));
  }
}

/** The first key makes the file. */
async function readIfThere(path: string): Promise<KeyEntry[]> {
  return existsSync(path) ? read(path) : [];
}

/** @throws BlockstitchError `config_invalid` also if there is no file */
async function read(path: string): Promise<KeyEntry[]> {
  try {
    return await readKeyFile(path);
  } catch (cause) {
    throw invalid('--key-file', cause instanceof Error ? cause.message : String(cause));
  }
}

function keyFileOf(command: Command): string {
  const { keyFile } = readSettings(command);
  if (keyFile === '') throw invalid('--key-file', 'name the file, here or in BLOCKSTITCH_KEY_FILE');
  return keyFile;
}

async function tenantOf(file: string): Promise<string> {
  const lines = (
    await readFile(file, 'utf8').catch((cause: Error) => Promise.reject(invalid('--adopt', cause.message)))
  )
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const [key, ...more] = lines;
  if (key === undefined || more.length > 0) throw invalid('--adopt', `${file} must hold one key`);
  return tenantId(key);
}

function limitsOf(flags: AddFlags): KeyLimits {
  const limits: KeyLimits = {};
  const whole = (flag: string, value: string) => wholeFlag(flag, value, 1);
  if (flags.requestsPerMinute !== undefined) {
    limits.requestsPerMinute = whole('--requests-per-minute', flags.requestsPerMinute);
  }
  if (flags.promptTokensPerMinute !== undefined) {
    limits.promptTokensPerMinute = whole('--prompt-tokens-per-minute', flags.promptTokensPerMinute);
  }
  if (flags.newTokensPerMinute !== undefined) {
    limits.newTokensPerMinute = whole('--new-tokens-per-minute', flags.newTokensPerMinute);
  }
  if (flags.concurrent !== undefined) limits.concurrent = whole('--concurrent', flags.concurrent);
  if (flags.storedBytes !== undefined) {
    const bytes = parseBytes(flags.storedBytes);
    if (bytes === undefined)
      throw invalid('--stored-bytes', `${flags.storedBytes} is not a size such as 512MiB or 2GB`);
    limits.storedBytes = bytes;
  }
  return limits;
}

function expiry(given: string): Date {
  const ms = parseMilliseconds(given);
  // A number alone would be milliseconds: nobody means that here.
  if (ms === undefined || ms === 0 || /^[\d.]+$/.test(given.trim())) {
    throw invalid('--expires', `${JSON.stringify(given)} is not a time such as 90d, 12h or 30m`);
  }
  const expires = new Date(Date.now() + ms);
  if (Number.isNaN(expires.getTime())) throw invalid('--expires', `${given} is too long`);
  return expires;
}

function stateOf({ expires, revoked }: KeyEntry): string {
  if (revoked !== undefined) return `revoked ${day(revoked)}`;
  if (expires === undefined) return 'usable';
  return Date.parse(expires) > Date.now() ? `until ${day(expires)}` : `expired ${day(expires)}`;
}

const day = (date: string) => date.slice(0, 10);

function limitWords(limits: KeyLimits): string {
  const { requestsPerMinute, promptTokensPerMinute, newTokensPerMinute, concurrent, storedBytes } = limits;
  const words = [
    requestsPerMinute === undefined ? [] : `${requestsPerMinute} requests/min`,
    promptTokensPerMinute === undefined ? [] : `${promptTokensPerMinute} prompt tokens/min`,
    newTokensPerMinute === undefined ? [] : `${newTokensPerMinute} new tokens/min`,
    concurrent === undefined ? [] : `${concurrent} at once`,
    storedBytes === undefined ? [] : `${formatBytes(storedBytes)} stored`,
  ].flat();
  return words.length === 0 ? 'none' : words.join(', ');
}

/** What a listing shows: no hash, no salt. */
function shown({ salt: _salt, hash: _hash, ...rest }: KeyEntry): Omit<KeyEntry, 'salt' | 'hash'> {
  return rest;
}

function invalid(setting: string, reason: string): BlockstitchError {
  return new BlockstitchError('config_invalid', { setting, reason });
}
