/**
 * The kinds of settings, with one short maker each. Knows shapes only; `settings.ts` has the settings.
 */

interface SettingBase {
  /** Long flag of `blockstitch serve`; null if the value must not show in a process list. */
  flag: string | null;
  env: string;
  help: string;
}
export interface NumberSetting extends SettingBase {
  kind: 'integer' | 'bytes' | 'milliseconds';
  default: number;
  min: number;
  max: number;
  /** What the number counts, for `--help` and docs/api.md; bytes and milliseconds name themselves. */
  unit?: string;
}
export interface ChoiceSetting<C extends string = string> extends SettingBase {
  kind: 'choice';
  default: C;
  choices: readonly C[];
}
export interface TextSetting extends SettingBase {
  kind: 'text';
  /** An empty string means "not set". */
  default: string;
}
export interface SecretListSetting extends SettingBase {
  kind: 'secrets';
  default: string;
}
export type Setting = NumberSetting | ChoiceSetting | TextSetting | SecretListSetting;

export const integer = (
  flag: string,
  env: string,
  value: number,
  min: number,
  max: number,
  unit: string,
  help: string,
): NumberSetting => ({ kind: 'integer', flag, env, default: value, min, max, unit, help });
export const bytes = (
  flag: string,
  env: string,
  value: number,
  min: number,
  max: number,
  help: string,
): NumberSetting => ({
  kind: 'bytes',
  flag,
  env,
  default: value,
  min,
  max,
  help,
});
export const milliseconds = (flag: string, env: string, value: number, max: number, help: string): NumberSetting => ({
  kind: 'milliseconds',
  flag,
  env,
  default: value,
  min: 0,
  max,
  help,
});
export const choice = <const C extends string>(
  flag: string,
  env: string,
  value: C,
  choices: readonly C[],
  help: string,
): ChoiceSetting<C> => ({ kind: 'choice', flag, env, default: value, choices, help });
export const text = (flag: string | null, env: string, value: string, help: string): TextSetting => ({
  kind: 'text',
  flag,
  env,
  default: value,
  help,
});
