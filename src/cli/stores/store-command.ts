/**
 * What the commands of `blockstitch cache` share: their settings, and tenants by name. Knows flags, and no store.
 */
import type { Command } from 'commander';
import { TAG_DIGITS, tenantTag } from '../../cache/block-key.js';
import type { Config } from '../../config.js';
import { BlockstitchError } from '../../errors.js';
import { readKeyFile } from '../../server/keys/key-file.js';
import { addSettings, readSettings } from '../setting-options.js';

const STORE_SETTINGS = [
  'storeDir',
  'storeMaxBytes',
  'storeHmacKeys',
  'redisUrl',
  'redisMode',
  'redisMaster',
  'redisTtlMs',
  'redisCa',
  'redisCert',
  'redisKey',
  'keyFile',
] as const;

/** A command with --json and the settings of stores. */
export function storeCommand(cache: Command, name: string, description: string): Command {
  const command = cache.command(name).description(description).option('--json', 'print the result as JSON', false);
  return addSettings(command, STORE_SETTINGS);
}

/**
 * The settings of such a command. A directory that was typed is meant, whatever the environment says of a Redis: these
 * commands delete.
 *
 * @throws BlockstitchError `config_invalid`
 */
export function storeSettings(command: Command): Config {
  const config = readSettings(command);
  if (command.getOptionValueSource('storeDir') === 'cli' && config.redisUrl !== '') {
    const reason = 'a Redis is named beside it, by --redis-url or REDIS_URL; --redis-url "" means the directory';
    throw invalid('--store-dir', reason);
  }
  return config;
}

/** Names of tenants by their tags, as far as the key file has them. */
export async function tenantNames({ keyFile }: Config): Promise<Map<string, string>> {
  if (keyFile === '') return new Map([[tenantTag(''), '(no key)']]);
  const entries = await readKeyFile(keyFile).catch((cause: Error) =>
    Promise.reject(invalid('--key-file', cause.message)),
  );
  return new Map([
    [tenantTag(''), '(no key)'] as const,
    ...entries.map(({ tenantId, tenant, name }) => [tenantTag(tenantId), tenant ?? name] as const),
  ]);
}

/** @returns what all keys of the tenant's blocks begin with; '' for all tenants */
export async function prefixOf(config: Config, tenant: string | undefined): Promise<string> {
  if (tenant === undefined) return '';
  const [named, ...others] = [...(await tenantNames(config))].filter(([, name]) => name === tenant).map(([tag]) => tag);
  if (named !== undefined && others.length > 0) {
    const tags = [named, ...others].join(', ');
    throw invalid('--tenant', `${JSON.stringify(tenant)} names several tenants: take the digits of one of ${tags}`);
  }
  if (named !== undefined) return named;
  if (new RegExp(`^[0-9a-f]{${TAG_DIGITS}}$`).test(tenant)) return tenant;
  throw invalid('--tenant', `${JSON.stringify(tenant)} is no tenant of the key file, and not ${TAG_DIGITS} hex digits`);
}

export function invalid(setting: string, reason: string): BlockstitchError {
  return new BlockstitchError('config_invalid', { setting, reason });
}

/** A time for people and scripts; null if it is not known. */
export function dateOf(ms: number | undefined): string | null {
  return ms === undefined || ms === 0 ? null : new Date(ms).toISOString();
}
