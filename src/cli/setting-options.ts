/** Settings as options of commands. Knows flags, help and values of settings, not what they do. */
import { type Command, Option } from 'commander';
import { type Config, loadConfig, SETTINGS, type SettingName, shownDefault } from '../config.js';
import { BlockstitchError } from '../errors.js';
import type { Setting } from '../setting-kinds.js';
import { withNamedModel } from './named-models.js';

/** Settings of the model and the engine: every command that computes takes them. */
export const MODEL_SETTINGS = [
  'model',
  'adapter',
  'weights',
  'device',
  'activations',
  'kvDtype',
  'kvMemoryBytes',
  'threads',
  'attention',
  'importCacheDir',
  'modelCacheDir',
] as const satisfies readonly SettingName[];

/** Adds a flag for each setting that has one. */
export function addSettings(command: Command, names: readonly SettingName[]): Command {
  for (const name of names) {
    const setting: Setting = SETTINGS[name];
    if (setting.flag === null) continue;
    const option = new Option(`${setting.flag} <${placeholder(setting)}>`, describe(setting));
    if (setting.kind === 'choice') option.choices(setting.choices);
    command.addOption(option);
  }
  return command;
}

/**
 * The configuration from the options given, the environment and the defaults. A model's name becomes its file and adapter.
 *
 * @param overrides values that the command fixes; they win over the command line
 * @throws BlockstitchError `config_invalid`
 */
export function readSettings(command: Command, overrides: Parameters<typeof loadConfig>[0] = {}): Config {
  const given = command.optsWithGlobals();
  const values: Record<string, string> = {};
  for (const name of Object.keys(SETTINGS) as SettingName[]) {
    const { flag } = SETTINGS[name];
    if (flag === null) continue;
    const value: unknown = given[new Option(`${flag} <value>`).attributeName()];
    if (typeof value === 'string') values[name] = value;
  }
  const config = loadConfig({ ...values, ...overrides });
  // `cache prune --model` has the flag too: there it names a model by its fingerprint.
  const help = describe(SETTINGS.model);
  const usesModel = command.options.some(
    ({ long, description }) => long === SETTINGS.model.flag && description === help,
  );
  return usesModel ? withNamedModel(config) : config;
}

/**
 * Reads the number of a flag that is not a setting.
 *
 * @throws BlockstitchError `config_invalid` naming the flag
 */
export function numberFlag(flag: string, value: string, min: number, max = Number.POSITIVE_INFINITY): number {
  const number = Number(value);
  if (value.trim() !== '' && number >= min && number <= max && Number.isFinite(number)) return number;
  const range = Number.isFinite(max) ? `from ${min} to ${max}` : `from ${min} up`;
  throw new BlockstitchError('config_invalid', { setting: flag, reason: `${value} is not a number ${range}` });
}

/**
 * Reads the whole number of a flag that is not a setting.
 *
 * @throws BlockstitchError `config_invalid` naming the flag
 */
export function wholeFlag(flag: string, value: string, min: number, max = Number.MAX_SAFE_INTEGER): number {
  const number = numberFlag(flag, value, min, max);
  if (Number.isInteger(number)) return number;
  throw new BlockstitchError('config_invalid', { setting: flag, reason: `${value} is not a whole number` });
}

function placeholder(setting: Setting): string {
  if (setting.kind === 'integer') return 'number';
  if (setting.kind === 'bytes') return 'size';
  if (setting.kind === 'milliseconds') return 'time';
  return setting.kind === 'choice' ? 'choice' : 'value';
}

function describe(setting: Setting): string {
  const value = shownDefault(setting);
  return `${setting.help} (${value === '' ? '' : `default ${value}; `}env ${setting.env})`;
}
