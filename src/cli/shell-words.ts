/**
 * What the command line says of an error: its message and its remedy, for somebody who typed a command. The table of
 * `errors.ts` speaks to whoever sends requests; here files, flags and commands have the words.
 * Knows codes and words. `main.ts` prints.
 */
import type { BlockstitchError, ErrorCode } from '../errors.js';

const CHECK_URL = 'Check --url: it must be a Blockstitch server of this version.';
const LATER = 'Try again in a while.';

/** Where the remedy of the table is for requests. */
const REMEDIES: Partial<Record<ErrorCode, string>> = {
  invalid_json: CHECK_URL,
  invalid_utf8: CHECK_URL,
  invalid_request: 'Check the files and the options that were given.',
  segmentation_invalid: 'Keep --min-tokens <= --target-tokens <= --max-block-tokens, or give --granularity alone.',
  segmenter_unusable: 'Give another --segmenter, or the right --segmenter-dir or --sentence-encoder.',
  context_length_exceeded: 'Give fewer documents, or let it generate less.',
  authentication_failed: 'Give a key of the server with --api-key, or in BLOCKSTITCH_API_KEYS.',
  stored_bytes_exceeded: 'Delete documents that are not needed any more, or ask the operator for a larger limit.',
  model_not_found: 'Name a model that the server serves.',
  document_not_found: 'Send the document first: blockstitch ingest.',
  document_damaged: 'Send the document again: blockstitch ingest --force.',
  block_not_found: 'Send the document again: blockstitch ingest --force.',
  job_not_found: 'Jobs are kept for a while after they end.',
  route_not_found: CHECK_URL,
  method_not_allowed: CHECK_URL,
  deleted_meanwhile: 'Run the same command again; nothing was registered.',
  unsupported_media_type: CHECK_URL,
  queue_full: LATER,
  rate_limit_exceeded: LATER,
  client_closed: 'Run the same command again.',
  internal_error: "See the server's log.",
  overloaded: LATER,
  shutting_down: 'Run the same command again when the server is back.',
  not_ready: 'Check that the server runs and has loaded its model, and --url.',
  store_failed: 'Check the store that the settings name: blockstitch doctor.',
};

/** Fields of requests that flags set. */
const FLAGS: readonly [RegExp, string][] = [
  [/`?\bmax_(?:completion_)?tokens\b`?/g, '--new-tokens'],
  [/`temperature`/g, '--temperature'],
  [/`attention\.repair\.share`/g, '--repair'],
  [/`attention\.repair\.by`/g, '--repair-by'],
  [/`cache_salt`/g, '--salt'],
];
const SEGMENT_FLAGS: readonly [RegExp, string][] = [
  [/`?\bmin_tokens\b`?/g, '--min-tokens'],
  [/`?\btarget_tokens\b`?/g, '--target-tokens'],
  [/`?\bmax_tokens\b`?/g, '--max-block-tokens'],
  [/(?<!-)`?\bgranularity\b`?/g, '--granularity'],
];
/** As Node says it: "ENOENT: no such file or directory, open '/nowhere'". */
const SYSTEM_ERROR = /\b(E[A-Z]{3,}): ([^,\n]+), \w+(?: '([^'\n]*)')?(?: -> '[^'\n]*')?/g;

export interface ShellWords {
  message: string;
  remedy: string;
}

/** @param command what was typed, such as `cache stats` */
export function shellWords(error: BlockstitchError, command = 'COMMAND'): ShellWords {
  const { code, remedy } = error;
  const flags = code === 'segmentation_invalid' ? SEGMENT_FLAGS : FLAGS;
  const message = flags.reduce((words, [field, flag]) => words.replace(field, flag), messageOf(error));
  return { message: withPlainFaults(message), remedy: (REMEDIES[code] ?? remedy).replace('COMMAND', command) };
}

/** The system's words with the file, where it is not named yet. */
function withPlainFaults(message: string): string {
  return message.replace(SYSTEM_ERROR, (_all, code: string, words: string, path: string | undefined, at: number) => {
    const isNamed = path === undefined || message.slice(0, at).includes(path);
    return isNamed ? `${words} (${code})` : `${words}: ${path} (${code})`;
  });
}

/** A file or a command is no setting. */
function messageOf({ code, message, details: { setting, reason } }: BlockstitchError): string {
  const isSetting = typeof setting === 'string' && /^(?:--|[A-Z_]+$)/.test(setting);
  return code === 'config_invalid' && setting !== undefined && !isSetting ? `${setting}: ${reason}` : message;
}
