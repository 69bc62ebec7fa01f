/** Real Redis servers on free loopback ports, for tests: one, a Sentinel beside it, a cluster; ended by their own handles. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

export interface TestRedis {
  url: string;
  port: number;
  stop(): Promise<void>;
}

/**
 * @param port   a free one by default; give one to bring a server back where it was
 * @param extra  further options of redis-server, such as `--requirepass`
 */
export async function startRedis(port?: number, extra: readonly string[] = []): Promise<TestRedis> {
  const own = port ?? (await freePort());
  // A replica leaves what it was sent in its directory, and a server loads what it finds there.
  const directory = mkdtempSync(join(tmpdir(), 'blockstitch-redis-'));
  const fixed = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', directory];
  const place = extra.includes('--tls-port') ? ['--port', '0'] : ['--port', String(own)];
  const child = await started('redis-server', [...place, ...fixed, ...extra], 'Ready to accept connections');
  return {
    url: `redis://127.0.0.1:${own}`,
    port: own,
    async stop() {
      await killed(child);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export interface TestSentinel {
  url: string;
  /** Name of the watched master. */
  master: string;
  stop(): Promise<void>;
}

/** One Sentinel that watches the master at `port` and fails over after 500 ms. */
export async function startSentinel(masterPort: number): Promise<TestSentinel> {
  const directory = mkdtempSync(join(tmpdir(), 'blockstitch-sentinel-'));
  const port = await freePort();
  const file = join(directory, 'sentinel.conf');
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${directory}`,
    `sentinel monitor demo 127.0.0.1 ${masterPort} 1`,
    'sentinel down-after-milliseconds demo 500',
    'sentinel failover-timeout demo 2000',
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  const child = await started('redis-server', [file, '--sentinel'], '+monitor master demo');
  return {
    url: `redis://127.0.0.1:${port}`,
    master: 'demo',
    async stop() {
      await killed(child);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export interface TestCluster {
  /** Comma-separated, as the setting takes them. */
  urls: string;
  stop(): Promise<void>;
}

const SLOTS = 16_384;

/** Masters that share the slots, each without a replica. */
export async function startCluster(nodes = 3): Promise<TestCluster> {
  const directory = mkdtempSync(join(tmpdir(), 'blockstitch-cluster-'));
  const servers: TestRedis[] = [];
  for (let index = 0; index < nodes; index++) {
    const port = await freeClusterPort();
    const options = ['--cluster-enabled', 'yes', '--cluster-config-file', join(directory, `nodes-${port}.conf`)];
    servers.push(await startRedis(port, options));
  }
  const clients = servers.map(({ url }) => new Redis(url));
  for (const [index, client] of clients.entries()) {
    const [from, to] = [index, index + 1].map((part) => Math.floor((part * SLOTS) / nodes)) as [number, number];
    await client.cluster('ADDSLOTSRANGE', from, to - 1);
    const [first] = servers as [TestRedis, ...TestRedis[]];
    if (index > 0) await client.cluster('MEET', '127.0.0.1', first.port);
  }
  for (const client of clients) await until(async () => (await client.cluster('INFO')).includes('cluster_state:ok'));
  // Every node must know every other before a client asks for the map of slots.
  for (const client of clients) {
    await until(async () => ((await client.cluster('SLOTS')) as unknown[]).length === nodes);
    client.disconnect();
  }
  return {
    urls: servers.map(({ url }) => url).join(','),
    async stop() {
      for (const server of servers) await server.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function started(command: string, args: readonly string[], word: string): Promise<ChildProcess> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  for await (const chunk of child.stdout) {
    said += String(chunk);
    if (said.includes(word)) break;
  }
  if (!said.includes(word)) throw new Error(`${command} did not start: ${said}`);
  return child;
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Asks again at each turn of the server's own clock until it says yes. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const endMs = performance.now() + 20_000; !(await holds()); ) {
    if (performance.now() > endMs) throw new Error('the cluster did not come up');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Nodes talk to one another at their port plus 10000. */
async function freeClusterPort(): Promise<number> {
  for (;;) {
    const port = await freePort();
    if (port < 55_000) return port;
  }
}
