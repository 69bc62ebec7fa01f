/**
 * Reads and checks every setting, once. The only file that reads the environment: command-line values win over the
 * environment, which wins over defaults. Which settings there are is in `settings.ts`.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { BlockstitchError } from './errors.js';
import type { NumberSetting, Setting } from './setting-kinds.js';
import { type Config, SETTINGS, type SettingName, settingLabel } from './settings.js';
import { parseBytes, parseDevice, parseMilliseconds, parseRepair } from './units.js';

export { type Config, PACKAGE_DIR, SETTINGS, type SettingName, settingLabel, shownDefault } from './settings.js';
export { parseRepair } from './units.js';

/**
 * Reads every setting.
 *
 * @param values what the command line gave, as typed there or already of the setting's type
 * @param env    `process.env`; tests give their own
 * @throws BlockstitchError `config_invalid` naming the first setting that cannot be used
 */
export function loadConfig(
  values: Partial<Record<SettingName, string | number | readonly string[]>> = {},
  env: NodeJS.ProcessEnv = process.env,
): Config {
  const config: Record<string, unknown> = {};
  for (const name of Object.keys(SETTINGS) as SettingName[]) {
    const setting: Setting = SETTINGS[name];
    const fromEnv = env[setting.env] === '' ? undefined : env[setting.env];
    config[name] = readSetting(name, setting, values[name] ?? fromEnv ?? setting.default);
  }
  const loaded = config as Config;
  if (loaded.targetTokens > loaded.maxBlockTokens) {
    throw invalid('targetTokens', `${loaded.targetTokens} is more than --max-block-tokens (${loaded.maxBlockTokens})`);
  }
  if (parseDevice(loaded.device) === undefined) {
    throw invalid('device', `${JSON.stringify(loaded.device)} is not cpu, cuda, cuda:0 or a list such as cuda:0,1`);
  }
  if (parseRepair(loaded.repair) === undefined) {
    throw invalid('repair', `${JSON.stringify(loaded.repair)} is neither auto nor a number from 0 to 1`);
  }
  if (trustedProxies(loaded) === undefined) {
    const reason = `${JSON.stringify(loaded.trustProxy)} is not a list of addresses such as 10.0.0.0/8,127.0.0.1`;
    throw invalid('trustProxy', reason);
  }
  if (allowedOrigins(loaded) === undefined) {
    const reason = `${JSON.stringify(loaded.corsOrigins)} is not a list of origins such as https://app.example,http://localhost:3000`;
    throw invalid('corsOrigins', reason);
  }
  if (loaded.otlpEndpoint !== '' && !isHttpAddress(loaded.otlpEndpoint)) {
    // It may hold a password.
    throw invalid('otlpEndpoint', 'it is not an http or https address such as http://127.0.0.1:4318');
  }
  return loaded.apiKeysFile === '' ? loaded : { ...loaded, apiKeys: [...loaded.apiKeys, ...readKeys(loaded)] };
}

/** Type of the hidden states of an imported model: float32 on a CPU; on a GPU the setting, or the checkpoint's own. */
export function importedActivations({
  device,
  activations,
}: Pick<Config, 'device' | 'activations'>): 'float32' | 'float16' | 'bfloat16' | 'checkpoint' {
  if (parseDevice(device)?.length === 0) return 'float32';
  return activations === 'auto' ? 'checkpoint' : activations;
}

/** True if the terminal must stay without colours (https://no-color.org). */
export function colourOff(env: NodeJS.ProcessEnv = process.env): boolean {
  return (env.NO_COLOR ?? '') !== '';
}

function readSetting(name: SettingName, setting: Setting, value: string | number | readonly string[]): unknown {
  switch (setting.kind) {
    case 'text':
      return String(value).trim();
    case 'secrets': {
      const keys = typeof value === 'string' ? value.split(',') : [value].flat().map(String);
      const given = keys.map((key) => key.trim()).filter((key) => key !== '');
      // A template that was filled with nothing must not open the server.
      if (given.length === 0 && value !== '' && keys.length > 0) throw invalid(name, 'it is set but holds no key');
      return given;
    }
    case 'choice':
      if (setting.choices.includes(String(value))) return String(value);
      throw invalid(name, `${JSON.stringify(value)} is not one of ${setting.choices.join(', ')}`);
    default:
      return readNumber(name, setting, value);
  }
}

function readNumber(name: SettingName, setting: NumberSetting, value: string | number | readonly string[]): number {
  const given = String(value).trim();
  const parsed =
    setting.kind === 'bytes'
      ? parseBytes(given)
      : setting.kind === 'milliseconds'
        ? parseMilliseconds(given)
        : /^[+-]?\d+$/.test(given)
          ? Number(given)
          : undefined;
  if (parsed === undefined) throw invalid(name, `${JSON.stringify(value)} is not ${EXPECTED[setting.kind]}`);
  if (parsed < setting.min || parsed > setting.max) {
    throw invalid(name, `${given} is not between ${setting.min} and ${setting.max}`);
  }
  return parsed;
}

const EXPECTED = {
  integer: 'a whole number',
  bytes: 'a size such as 512MiB or 2GB',
  milliseconds: 'a time such as 1500, 1500ms, 30s or 5m',
};

/** The proxies whose x-forwarded-for is believed: false for none; undefined if the setting is not a list of addresses. */
export function trustedProxies({ trustProxy }: Pick<Config, 'trustProxy'>): false | string[] | undefined {
  if (trustProxy === '') return false;
  const addresses = trustProxy.split(',').map((address) => address.trim());
  return addresses.every(isNetwork) ? addresses : undefined;
}

/** The origins whose pages may call the API; undefined if the setting is not a list of origins. */
export function allowedOrigins({ corsOrigins }: Pick<Config, 'corsOrigins'>): string[] | undefined {
  if (corsOrigins === '') return [];
  const origins = corsOrigins.split(',').map((origin) => origin.trim());
  return origins.every((origin) => origin === '*' || isOrigin(origin)) ? origins : undefined;
}

function isHttpAddress(given: string): boolean {
  return /^https?:\/\/./i.test(given) && URL.canParse(given);
}

function isOrigin(given: string): boolean {
  return URL.canParse(given) && new URL(given).origin === given;
}

function isNetwork(given: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(given)) return true;
  const [address = '', bits = '0', ...more] = given.split('/');
  const family = isIP(address);
  return family !== 0 && more.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128);
}

function readKeys(config: Config): string[] {
  try {
    const lines = readFileSync(config.apiKeysFile, 'utf8').split(/\r?\n/);
    const keys = lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
    if (keys.length === 0) throw new Error('it holds no key');
    return keys;
  } catch (cause) {
    throw invalid('apiKeysFile', cause instanceof Error ? cause.message : String(cause));
  }
}

function invalid(name: SettingName, reason: string): BlockstitchError {
  return new BlockstitchError('config_invalid', { setting: settingLabel(name), reason });
}
