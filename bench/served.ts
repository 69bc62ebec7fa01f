/** A server of the demo model in a process of its own, with a home of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_DIR } from '../src/config.js';

export interface BenchServer {
  url: string;
  close(): Promise<void>;
}

/** @param env settings beside those of every bench @throws Error with what it said if it ends before it is ready */
export async function startBenchServer(home: string, env: Record<string, string> = {}): Promise<BenchServer> {
  mkdirSync(home, { recursive: true });
  const main = join(PACKAGE_DIR, 'dist', 'src', 'cli', 'main.js');
  const argv = ['serve', '--port', '0', '--kv-memory', '256MiB', '--log-level', 'error', '--drain', '0s'];
  const { PATH = '' } = process.env;
  const child = spawn(process.execPath, [main, ...argv], {
    env: { PATH, HOME: home, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(child, 'exit');
  let said = '';
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr.on('data', (part) => {
      said += String(part);
      const [, found] = /ready: (http:\S+)\/docs/.exec(said) ?? [];
      if (found !== undefined) resolve(found);
    });
    void ended.then(() => reject(new Error(`the server ended, having said: ${said}`)));
  });
  const close = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  return { url, close };
}
