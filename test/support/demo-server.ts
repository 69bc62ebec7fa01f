/** The demo model on a free loopback port, really served, with a store of its own: for end-to-end, fault and load tests. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig, PACKAGE_DIR, type SettingName } from '../../src/config.js';
import type { Services } from '../../src/server/services.js';
import { type RunningServer, startServer } from '../../src/server/start-server.js';

export interface ErrorAnswer {
  error: { message: string; type: string; param: string | null; code: string; remedy: string };
}

export interface Answered<Answer> {
  status: number;
  headers: Headers;
  json: Answer;
}

export interface DemoServer {
  url: string;
  server: RunningServer;
  services: Services;
  /** Waits until no request runs or waits and none holds a page; throws after half a minute. */
  idle(): Promise<void>;
  /** A JSON body to a path; the answer's status and JSON. */
  post<Answer = ErrorAnswer>(path: string, body: unknown): Promise<Answered<Answer>>;
  close(): Promise<void>;
}

export async function startDemoServer(
  settings: Partial<Record<SettingName, string | number>> = {},
): Promise<DemoServer> {
  const directory = mkdtempSync(join(tmpdir(), 'blockstitch-demo-server-'));
  const config = loadConfig(
    {
      port: 0,
      storeDir: join(directory, 'store'),
      importCacheDir: join(directory, 'imports'),
      kvMemoryBytes: '64MiB',
      ...settings,
    },
    {},
  );
  const server = await startServer(config);
  const services = await server.ready;
  const { url } = server;
  return {
    url,
    server,
    services,
    async idle() {
      const giveUp = performance.now() + 30_000;
      for (;;) {
        const { running, waiting, pool } = await services.engine.statistics();
        if (running === 0 && waiting === 0 && pool.activePages === 0) return;
        if (performance.now() > giveUp) throw new Error(`still ${JSON.stringify({ running, waiting, pool })}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    async post<Answer>(path: string, body: unknown): Promise<Answered<Answer>> {
      const response = await fetch(`${url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
      });
      return { status: response.status, headers: response.headers, json: (await response.json()) as Answer };
    },
    async close() {
      await server.close(0);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** The Python with this project's requirements: `make test` names it; else the one that `make test` has made. */
export function pythonWithRequirements(): string | undefined {
  const own = join(PACKAGE_DIR, 'training', '.venv', 'bin', 'python');
  return [process.env.BLOCKSTITCH_PYTHON, own].find((python) => python !== undefined && existsSync(python));
}
