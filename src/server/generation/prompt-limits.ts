/** Bounds the size of a request's messages, of its prompt, or of its prediction. Knows bytes only. */
import { type Config, settingLabel } from '../../config.js';
import { BlockstitchError } from '../../errors.js';
import { formatBytes } from '../../units.js';

/**
 * @param param the field that holds the texts, such as `messages` or `prompt`
 * @throws BlockstitchError `payload_too_large` naming the setting
 */
export function checkPromptSize(texts: readonly string[], param: string, config: Config): void {
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (bytes <= config.maxPromptBytes) return;
  throw new BlockstitchError(
    'payload_too_large',
    {
      what: `\`${param}\``,
      actual: formatBytes(bytes),
      limit: formatBytes(config.maxPromptBytes),
      setting: settingLabel('maxPromptBytes'),
    },
    { param },
  );
}
