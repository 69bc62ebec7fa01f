/** The settings of API keys and of what each client may use. `settings.ts` has the whole table. */
import { integer, type SecretListSetting, type Setting, text } from './setting-kinds.js';

export const KEY_SETTINGS = {
  apiKeys: {
    kind: 'secrets',
    flag: null,
    env: 'BLOCKSTITCH_API_KEYS',
    default: '',
    help: 'API keys, separated by commas; if the variable is empty, no key is asked for',
  } satisfies SecretListSetting as SecretListSetting,
  apiKeysFile: text('--api-keys-file', 'BLOCKSTITCH_API_KEYS_FILE', '', 'file with one API key per line'),
  keyFile: text(
    '--key-file',
    'BLOCKSTITCH_KEY_FILE',
    '',
    'file of hashed API keys with tenants, limits and expiry, written by blockstitch keys; read again when it changes',
  ),
} as const satisfies Record<string, Setting>;

export const CLIENT_SETTINGS = {
  requestsPerMinute: integer(
    '--rate-limit',
    'BLOCKSTITCH_RATE_LIMIT',
    0,
    0,
    1_000_000,
    'requests per minute',
    'requests of one API key a minute, or of one address if there are no keys; 0 sets no limit',
  ),
  maxKeyFailures: integer(
    '--max-key-failures',
    'BLOCKSTITCH_MAX_KEY_FAILURES',
    60,
    0,
    1_000_000,
    'wrong keys per minute',
    'wrong API keys from one address a minute; 0 sets no limit',
  ),
} as const satisfies Record<string, Setting>;
