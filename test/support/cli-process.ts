/** The command line as a user runs it: the compiled program in a process of its own, with a home of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { PACKAGE_DIR } from '../../src/config.js';

export interface CliResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface CliProcess {
  child: ChildProcess;
  /** Resolves when stderr matches; rejects when the process ends before. */
  said(words: RegExp): Promise<RegExpExecArray>;
  ended: Promise<CliResult>;
}

/** @param home for caches, so that nothing of the machine's own is read or written */
export function startCli(argv: readonly string[], home: string, env: Record<string, string> = {}): CliProcess {
  return startProgram(process.execPath, [join(PACKAGE_DIR, 'dist', 'src', 'cli', 'main.js'), ...argv], home, env);
}

/** The same for another program. */
export function startProgram(
  program: string,
  argv: readonly string[],
  home: string,
  env: Record<string, string> = {},
): CliProcess {
  const { PATH = '' } = process.env;
  const child = spawn(program, argv, {
    env: { PATH, HOME: home, ...env },
    cwd: home,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const result: CliResult = { code: null, stdout: '', stderr: '' };
  child.stdout.on('data', (part) => {
    result.stdout += String(part);
  });
  child.stderr.on('data', (part) => {
    result.stderr += String(part);
  });
  const ended = once(child, 'close').then(([code]) => ({ ...result, code: code as number | null }));
  return {
    child,
    ended,
    async said(words) {
      for (;;) {
        const match = words.exec(result.stderr);
        if (match) return match;
        const over = await Promise.race([once(child.stderr, 'data').then(() => false), ended.then(() => true)]);
        if (over && !words.test(result.stderr)) throw new Error(`it ended, having said: ${result.stderr}`);
      }
    },
  };
}

export async function runCli(
  argv: readonly string[],
  home: string,
  { env = {}, input = '' }: { env?: Record<string, string>; input?: string } = {},
): Promise<CliResult> {
  const { child, ended } = startCli(argv, home, env);
  child.stdin?.end(input);
  return ended;
}
