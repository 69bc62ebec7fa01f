#!/usr/bin/env node
/**
 * `npm run test:rolling`: two replicas over one Redis behind nginx (docker/gateway/nginx.conf) are restarted one after the
 * other, again and again, while clients ask. Every request must be answered, and as a clean server answers.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { describeMachine } from '../../bench/report.js';
import { table } from '../../src/cli/terminal.js';
import { PACKAGE_DIR } from '../../src/config.js';
import { freePort, startRedis } from '../support/redis-server.js';
import { DOCUMENTS, type Server, World } from './faults/world.js';

const CLIENTS = 8;
/** Exit code of what cannot be run here, as automake has it. */
const SKIPPED = 77;

interface Account {
  answers: number;
  ingested: number;
  streams: number;
  wrong: number;
  failed: Map<string, number>;
}

/** The file that the project ships, with the addresses of this run and places that a test may write to. */
async function startNginx(directory: string, port: number, replicas: readonly number[]): Promise<ChildProcess> {
  mkdirSync(directory, { recursive: true });
  let next = 0;
  const shipped = readFileSync(join(PACKAGE_DIR, 'docker', 'gateway', 'nginx.conf'), 'utf8')
    .replace(/blockstitch-\d:8080/g, () => `127.0.0.1:${replicas[next++]}`)
    .replace('listen 8080', `listen 127.0.0.1:${port}`);
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${directory}/${name};`,
  );
  const conf = shipped.replace('http {', `http {\n  access_log off;\n  ${places.join('\n  ')}`);
  writeFileSync(join(directory, 'nginx.conf'), conf);
  const log = join(directory, 'error.log');
  const args = ['-p', directory, '-c', join(directory, 'nginx.conf'), '-e', log];
  const globals = `daemon off; pid ${directory}/pid;${process.getuid?.() === 0 ? ' user root;' : ''}`;
  const child = spawn('nginx', [...args, '-g', globals], { stdio: 'inherit' });
  return child;
}

async function client(
  world: World,
  url: string,
  number: number,
  account: Account,
  ended: () => boolean,
): Promise<void> {
  const fail = (what: string) => account.failed.set(what, (account.failed.get(what) ?? 0) + 1);
  for (let turn = number; !ended(); turn++) {
    const index = world.draw(0, DOCUMENTS - 1);
    try {
      if (turn % 10 === 0) {
        const written = await world.ingestNew(url);
        if (written === '200') account.ingested++;
        else fail(`ingestion: ${written}`);
      } else if (turn % 3 === 0) {
        const { whole, status } = await world.stream(url, index);
        if (whole) account.streams++;
        else fail(`stream: ${status}`);
      } else {
        const { status, code, answer } = await world.ask(url, index, turn % 2 === 0 ? 'id' : 'text');
        if (status !== 200) fail(`chat: ${status} ${code}`);
        else account.answers++;
        if (status === 200 && !world.isRight(index, answer)) account.wrong++;
      }
    } catch (error) {
      fail(String((error as Error).cause ?? error));
    }
  }
}

async function run(rounds: number, progress: (line: string) => void): Promise<Account> {
  const world = new World(1);
  const redis = await startRedis();
  const account: Account = { answers: 0, ingested: 0, streams: 0, wrong: 0, failed: new Map() };
  let nginx: ChildProcess | undefined;
  try {
    await world.takeReference();
    const ports = [await freePort(), await freePort()];
    const start = (port: number) => world.serve(['--redis-url', redis.url, '--port', String(port), '--drain', '30s']);
    const replicas: Server[] = [];
    for (const port of ports) replicas.push(await start(port));
    await world.ingestAll((replicas[0] as Server).url);
    const port = await freePort();
    nginx = await startNginx(join(world.home, 'nginx'), port, ports);
    const url = `http://127.0.0.1:${port}`;
    const answers = () =>
      fetch(`${url}/ready`).then(
        ({ status }) => status === 200,
        () => false,
      );
    await world.until('nginx answers', answers);
    let over = false;
    const clients = Array.from({ length: CLIENTS }, (_, number) => client(world, url, number, account, () => over));
    for (let round = 1; round <= rounds; round++) {
      for (const [at, own] of ports.entries()) {
        const { code } = await (replicas[at] as Server).kill('SIGTERM');
        if (code !== 0) account.failed.set(`replica ended with ${code}`, 1);
        replicas[at] = await start(own);
      }
      const failed = [...account.failed.values()].reduce((sum, count) => sum + count, 0);
      progress(
        `${round}/${rounds}: ${account.answers} answers, ${account.streams} streams, ${account.ingested} ingested, ${failed} failed`,
      );
    }
    over = true;
    await Promise.all(clients);
    return account;
  } finally {
    if (nginx?.exitCode === null) {
      nginx.kill('SIGTERM');
      await once(nginx, 'exit');
    }
    await world.close();
    await redis.stop();
  }
}

const program = new Command('test:rolling')
  .description(
    `Restarts two replicas behind nginx under load. Exit code 1 if a request fails, ${SKIPPED} without nginx.`,
  )
  .option('--rounds <number>', 'how often both are restarted', Number, 10)
  .option('--json', 'print the account as JSON', false)
  .action(async ({ rounds, json }: { rounds: number; json: boolean }) => {
    if (spawnSync('nginx', ['-v']).status !== 0) {
      console.error('skipped: nginx is not installed (apt: nginx-light)');
      process.exitCode = SKIPPED;
      return;
    }
    const { failed, ...counts } = await run(rounds, (line) => console.error(line));
    const failures = Object.fromEntries(failed);
    if (json) console.log(JSON.stringify({ machine: describeMachine(), rounds, ...counts, failures }, null, 2));
    else console.log(table([...Object.entries({ rounds, ...counts }), ['failed', JSON.stringify(failures)]]));
    process.exitCode = failed.size === 0 && counts.wrong === 0 ? 0 : 1;
  });

await program.parseAsync();
