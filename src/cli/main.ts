#!/usr/bin/env node
/**
 * The command line: `blockstitch COMMAND`. Knows the commands by name; each is a file of commands/. A command loads its
 * code when it runs, so help comes at once.
 * Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 141 the reader of the output has left.
 *
 * Words: command = one file of commands/; setting = a value of `settings.ts`, given by flag or environment; flag = an
 * option of one command alone; terminal = what a command prints with; remedy = what the user can do about an error.
 */
import { Command, CommanderError } from 'commander';
import { BlockstitchError } from '../errors.js';
import { API_VERSION } from '../server/api-version.js';
import { shellWords } from './shell-words.js';

/** What a shell shows for a program that wrote to a pipe which nobody reads (128 + SIGPIPE). */
const READER_LEFT = 141;
const WRONG_USAGE: ReadonlySet<string> = new Set(['config_invalid', 'segmentation_invalid']);
const WITH_SUBCOMMANDS = new Set(['cache', 'keys']);

/** In the order in which help shows them. Only the command that is asked for is loaded. */
const COMMANDS: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  serve: async () => (await import('./commands/serve.js')).addServe,
  ask: async () => (await import('./commands/ask.js')).addAsk,
  demo: async () => (await import('./commands/demo.js')).addDemo,
  eval: async () => (await import('./commands/eval.js')).addEval,
  ingest: async () => (await import('./commands/ingest.js')).addIngest,
  segment: async () => (await import('./commands/segment.js')).addSegment,
  import: async () => (await import('./commands/import.js')).addImport,
  pull: async () => (await import('./commands/pull.js')).addPull,
  keys: async () => (await import('./commands/keys.js')).addKeys,
  cache: async () => (await import('./commands/cache.js')).addCache,
  bench: async () => (await import('./commands/bench.js')).addBench,
  doctor: async () => (await import('./commands/doctor.js')).addDoctor,
  openapi: async () => (await import('./commands/openapi.js')).addOpenApi,
};

/** @param asked the first word; help, and whatever names no command, needs them all */
async function buildProgram(asked = ''): Promise<Command> {
  const program = new Command('blockstitch')
    .description('A RAG inference server that never prefills the same passage twice.')
    .version(API_VERSION)
    .exitOverride()
    .showHelpAfterError('(add --help for the options)')
    .addHelpText('after', '\nExit codes: 0 done, 1 failed, 2 wrong usage or settings.');
  const named = Object.hasOwn(COMMANDS, asked) ? COMMANDS[asked] : undefined;
  for (const load of named === undefined ? Object.values(COMMANDS) : [named]) (await load())(program);
  return program;
}

/** @returns the exit code */
export async function runCommand(argv: readonly string[]): Promise<number> {
  try {
    const program = await buildProgram(argv[0]);
    await program.parseAsync([...argv], { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof BlockstitchError) {
      const { message, remedy } = shellWords(error, typed(argv));
      process.stderr.write(`error: ${message}\n  ${remedy}\n`);
      return WRONG_USAGE.has(error.code) ? 2 : 1;
    }
    process.stderr.write(`error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return 1;
  }
}

/** The command, with its subcommand. */
function typed(argv: readonly string[]): string {
  const words = argv.slice(0, WITH_SUBCOMMANDS.has(argv[0] ?? '') ? 2 : 1).filter((word) => !word.startsWith('-'));
  return words.length === 0 ? 'COMMAND' : words.join(' ');
}

/** What was written to a pipe may still be on its way. */
const flushed = (stream: NodeJS.WriteStream) => new Promise<void>((resolve) => stream.write('', () => resolve()));

const argv = process.argv.slice(2);
// A server outlives whoever reads what it says (commands/serve.ts). Any other command ends with its reader, as `| head` expects.
if (argv[0] !== 'serve') {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', ({ code, message }: NodeJS.ErrnoException) => {
      if (code === 'EPIPE') process.exit(READER_LEFT);
      // Nobody would know that what was printed is not whole. It may be stderr itself that cannot be written.
      if (stream === process.stdout) process.stderr.write(`error: the output cannot be written: ${message}\n`);
      process.exit(1);
    });
  }
}
const code = await runCommand(argv);
await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
// Native threads and idle sockets do not keep a finished command alive.
process.exit(code);
