/** Errors in the shell: in words of files, flags and commands, never of requests. */
import { expect, test } from 'vitest';
import { shellWords } from '../../../src/cli/shell-words.js';
import { BlockstitchError, ERRORS, type ErrorCode } from '../../../src/errors.js';

/** Words of whoever sends requests. */
const OF_REQUESTS =
  /`?param`?\b|HTTP|\b(?:GET|POST|DELETE) |[Hh]eader|Retry-After|\bbody\b|\bfield\b|content-type|\/v1|\/ready|Bearer/;

test.each(Object.keys(ERRORS) as ErrorCode[])('the remedy of %s speaks of no request', (code) => {
  const details = { setting: '--x', reason: 'it is so', limit: 1, what: 'The text', actual: 2 };
  const { remedy } = shellWords(new BlockstitchError(code, details), 'ask');
  expect(remedy).not.toMatch(OF_REQUESTS);
  expect(remedy).not.toMatch(/COMMAND|\{/);
});

test.each([
  [['config_invalid', { setting: '--port', reason: 'it is taken' }], 'The setting --port is invalid: it is taken'],
  [['config_invalid', { setting: 'a/b.txt', reason: 'it is a pipe' }], 'a/b.txt: it is a pipe'],
  [
    ['config_invalid', { setting: '--key-file', reason: "ENOENT: no such file or directory, open 'k.json'" }],
    'The setting --key-file is invalid: no such file or directory: k.json (ENOENT)',
  ],
  [
    ['invalid_request', { reason: "a.txt: ENOENT: no such file or directory, open 'a.txt'" }],
    'a.txt: no such file or directory (ENOENT)',
  ],
  [
    ['invalid_request', { reason: '`max_tokens` is 9, more than the limit of 8 (--max-tokens).' }],
    '--new-tokens is 9, more than the limit of 8 (--max-tokens).',
  ],
  [
    ['segmentation_invalid', { reason: 'min_tokens is 9, and max_tokens is 8' }],
    'Segmentation options contradict one another: --min-tokens is 9, and --max-block-tokens is 8',
  ],
] as const)('%j is told as "%s"', ([code, details], message) => {
  expect(shellWords(new BlockstitchError(code, details)).message).toBe(message);
});

test('the remedy names the command that was typed', () => {
  const error = new BlockstitchError('config_invalid', { setting: '--x', reason: 'it is so' });
  expect(shellWords(error, 'cache stats').remedy).toBe('See blockstitch cache stats --help.');
});
