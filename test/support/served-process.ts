/** `blockstitch serve` in a process of its own, asked over HTTP: what tests kill, stop and start again. */
import { type CliProcess, type CliResult, startCli } from './cli-process.js';

export interface Answered<Answer = Record<string, unknown>> {
  status: number;
  json: Answer;
}

export interface ServedProcess {
  url: string;
  pid: number;
  ask<Answer = Record<string, unknown>>(
    method: string,
    path: string,
    body?: object,
    headers?: Record<string, string>,
  ): Promise<Answered<Answer>>;
  /** Reads the job's events to their end. @returns the name of the last one */
  jobEnds(id: string): Promise<string>;
  /** Sends a signal that does not end it. */
  signal(signal: NodeJS.Signals): void;
  /** Sends a signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<CliResult>;
}

const alive = new Set<CliProcess>();

/** @param home for caches: give the same one again for the same import of the model */
export async function serveProcess(
  home: string,
  argv: readonly string[],
  env: Record<string, string> = {},
): Promise<ServedProcess> {
  const cli = startCli(['serve', '--port', '0', '--kv-memory', '64MiB', ...argv], home, env);
  alive.add(cli);
  const [, url = ''] = await cli.said(/ready: (http:\S+)\/docs/);
  const request = (method: string, path: string, body?: object, headers: Record<string, string> = {}) =>
    fetch(`${url}${path}`, {
      method,
      headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  return {
    url,
    pid: cli.child.pid ?? 0,
    async ask<Answer>(
      method: string,
      path: string,
      body?: object,
      headers?: Record<string, string>,
    ): Promise<Answered<Answer>> {
      const response = await request(method, path, body, headers);
      return { status: response.status, json: (await response.json()) as Answer };
    },
    async jobEnds(id) {
      const events = await (await request('GET', `/v1/jobs/${id}/events`)).text();
      return /event: (\w+)\ndata: [^\n]*\n\n$/.exec(events)?.[1] ?? events;
    },
    signal(signal) {
      cli.child.kill(signal);
    },
    async end(signal) {
      cli.child.kill(signal);
      alive.delete(cli);
      return cli.ended;
    },
  };
}

/** For `afterEach`: nothing of a test that failed stays behind. */
export async function endProcesses(): Promise<void> {
  for (const { child, ended } of alive) {
    child.kill('SIGKILL');
    await ended;
  }
  alive.clear();
}
