/** A directory that a command needs for itself while it runs. */
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Makes a directory for some work, and removes it with all that is in it when the work ends; also when a signal ends the
 * process, as it would without.
 *
 * @param name of the command
 */
export async function withTemporaryDirectory<T>(name: string, work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), `blockstitch-${name}-`));
  const leave = (signal: NodeJS.Signals) => {
    rmSync(directory, { recursive: true, force: true });
    for (const each of SIGNALS) process.off(each, leave);
    process.kill(process.pid, signal);
  };
  for (const signal of SIGNALS) process.on(signal, leave);
  try {
    return await work(directory);
  } finally {
    for (const signal of SIGNALS) process.off(signal, leave);
    await rm(directory, { recursive: true, force: true });
  }
}
