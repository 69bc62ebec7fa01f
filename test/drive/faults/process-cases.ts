/** Processes end, workers end, clocks jump: what was acknowledged is there, what goes on goes on. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PACKAGE_DIR } from '../../../src/config.js';
import { startRedis } from '../../support/redis-server.js';
import { type FaultCase, mustHold, type Outcome } from './case.js';
import { Traffic } from './traffic.js';
import { DOCUMENTS, type Server, textOf, type World } from './world.js';

const KILLS = 20;
const SHARED_KILLS = 10;
const KILL_MS = { least: 50, most: 1_500 };
/** Acknowledged documents that are answered from at the end, and compared with a clean server. */
const COMPARED = 40;

export const PROCESS_CASES: readonly FaultCase[] = [
  {
    name: 'kill-in-ingestion',
    about: `SIGKILL at ${KILLS} random moments of ingestion over LMDB`,
    run: killInIngestion,
  },
  {
    name: 'kill-shared-ingestion',
    about: `SIGKILL of one of two servers on one Redis at ${SHARED_KILLS} random moments of ingestion`,
    run: killSharedIngestion,
  },
  {
    name: 'worker-crash',
    about: 'the engine’s worker throws, 3 times; the process goes on',
    short: true,
    run: workerCrash,
  },
  {
    name: 'clock-jump',
    about: 'the clock jumps an hour ahead, two days back, and home; nothing may fail',
    skip: () => (fakeTime() === undefined ? 'libfaketime is not installed (apt: faketime)' : undefined),
    run: clockJump,
  },
  {
    name: 'two-servers',
    about: 'two servers on one directory of LMDB, one is killed; the other goes on',
    short: true,
    run: twoServers,
  },
];

interface Kept {
  id: string;
  text: string;
  background: boolean;
}

/** Kills one process after another at random moments while four clients send documents to it. */
async function killed(
  world: World,
  argv: readonly string[],
  kills: number,
): Promise<{ kept: Kept[]; inFlight: number }> {
  const kept: Kept[] = [];
  let [inFlight, number] = [0, 0];
  for (let round = 0; round < kills; round++) {
    const server = await world.serve(argv);
    const clients = Array.from({ length: 4 }, async () => {
      while (!server.killed.aborted) {
        // Every third one in the background: 202 is a promise as well.
        const background = ++number % 3 === 0;
        const document = { id: `kept-${number}`, text: textOf(3_000 + number, 12), background };
        try {
          const { status } = await server.ask('POST', '/v1/documents', document);
          if (status === (background ? 202 : 200)) kept.push(document);
          else throw new Error(`ingestion answered ${status}`);
        } catch (error) {
          if (!server.killed.aborted) throw error;
          inFlight++;
        }
      }
    });
    await delay(world.draw(KILL_MS.least, KILL_MS.most));
    await server.kill();
    await Promise.all(clients);
  }
  return { kept, inFlight };
}

async function killInIngestion(world: World): Promise<Outcome> {
  const store = ['--store-dir', world.directory()];
  const { kept, inFlight } = await killed(world, store, KILLS);
  const server = await world.serve(store);
  const outcome = await compared(world, server, kept, inFlight);
  const { stdout } = await server.kill('SIGTERM');
  mustHold(stdout.includes('was not closed'), 'the log says that the store was not closed');
  return outcome.lost > 0 ? outcome : { ...outcome, said: 'the log says at each start that the store was not closed' };
}

/** The other server shares the jobs, and goes on with those of the killed ones. */
async function killSharedIngestion(world: World): Promise<Outcome> {
  const redis = await startRedis();
  try {
    const store = ['--redis-url', redis.url];
    const server = await world.serve(store);
    const { kept, inFlight } = await killed(world, store, SHARED_KILLS);
    const outcome = await compared(world, server, kept, inFlight);
    const open = await world.metric(server.url, 'ingestion_jobs');
    mustHold(outcome.lost > 0 || open === 0, 'no job is left in the queue');
    await server.kill('SIGTERM');
    const waited = kept.filter(({ background }) => background).length;
    return outcome.lost > 0
      ? outcome
      : { ...outcome, said: `${waited} background ingestions, none is left in the queue` };
  } finally {
    await redis.stop();
  }
}

/** All that was acknowledged is there, and is answered from as a clean server answers. */
async function compared(world: World, server: Server, kept: readonly Kept[], inFlight: number): Promise<Outcome> {
  const clean = await world.serve(['--store-dir', world.directory()]);
  const missing = new Set(kept);
  await allIsThere(world, server, missing).catch(() => undefined);
  const lost = missing.size;
  let [answers, wrong] = [0, 0];
  for (let each = 0; each < Math.min(COMPARED, kept.length); each++) {
    const { id, text } = kept[world.draw(0, kept.length - 1)] as Kept;
    const [own, other] = [await world.askOf(server.url, { id }), await world.askOf(clean.url, { text })];
    answers++;
    if (own.answer === undefined || own.answer !== other.answer) wrong++;
  }
  await clean.kill('SIGTERM');
  const gone = [...missing].map(({ id, background }) => `${id}${background ? ' (202)' : ''}`);
  const said = gone.length > 0 ? `gone: ${gone.join(', ')}` : '';
  return { answers, wrong, inFlight, refused: 0, failed: [], acknowledged: kept.length, lost, said };
}

/** Documents in the background go on after a start. What is there is taken out of `missing`. */
async function allIsThere(world: World, server: Server, missing: Set<Kept>): Promise<void> {
  await world.until('all that was acknowledged is there', async () => {
    for (const document of missing) {
      if ((await server.ask('GET', `/v1/documents/${document.id}`)).status === 200) missing.delete(document);
    }
    return missing.size === 0;
  });
}

async function workerCrash(world: World): Promise<Outcome> {
  const preload = join(PACKAGE_DIR, 'test', 'support', 'crash-engine.mjs');
  const server = await world.serve(['--store-dir', world.directory()], { NODE_OPTIONS: `--import=${preload}` });
  await world.ingestAll(server.url);
  const traffic = new Traffic(world, [server]);
  let recoveredMs = 0;
  for (let crash = 1; crash <= 3; crash++) {
    await traffic.answered(15);
    traffic.engineKilled = true;
    server.signal('SIGUSR2');
    const restarts = () => world.metric(server.url, 'engine_restarts_total');
    await world.until('the restart is counted', async () => (await restarts()) === crash);
    recoveredMs = await world.until('the engine runs', async () => (await fetch(`${server.url}/ready`)).status === 200);
    traffic.engineKilled = false;
  }
  await traffic.answered(15);
  const account = await traffic.stop();
  const lost = await world.lost(server.url);
  await server.kill('SIGTERM');
  return {
    ...account,
    acknowledged: DOCUMENTS,
    lost,
    recoveredMs,
    said: 'engine_restarts_total 3; /ready 503 meanwhile',
  };
}

/** The library that moves a process's clock, if it is there. */
function fakeTime(): string | undefined {
  const folders = readdirSync('/usr/lib').map((name) => join('/usr/lib', name, 'faketime', 'libfaketimeMT.so.1'));
  return folders.find((file) => existsSync(file));
}

async function clockJump(world: World): Promise<Outcome> {
  const file = join(world.home, 'clock');
  const set = (offset: string) => writeFileSync(file, `${offset}\n`);
  set('+0');
  const server = await world.serve(['--store-dir', world.directory()], {
    LD_PRELOAD: fakeTime() ?? '',
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    // Intervals are measured on the monotonic clock, which no administrator can move.
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    DONT_FAKE_MONOTONIC: '1',
  });
  await world.ingestAll(server.url);
  const traffic = new Traffic(world, [server]);
  const seen: string[] = [];
  for (const offset of ['+3600', '-172800', '+0']) {
    set(offset);
    // The library of HTTP renews its date each second.
    await world.until('its clock has jumped', async () => {
      const date = Date.parse((await fetch(`${server.url}/health`)).headers.get('date') ?? '');
      return Math.abs(date - Date.now() - Number(offset) * 1000) < 60_000;
    });
    seen.push(`${Number(offset) / 3600} h`);
    mustHold((await world.ingestNew(server.url)) === '200', 'documents are taken');
    const job = (
      await server.ask<{ id: string }>('POST', '/v1/documents', {
        id: `job ${offset}`,
        text: textOf(5_000 + seen.length),
        background: true,
      })
    ).json;
    mustHold((await server.jobEnds(job.id)) === 'done', 'a job in the background ends');
    await traffic.answered(20);
  }
  const account = await traffic.stop();
  const lost = await world.lost(server.url);
  await server.kill('SIGTERM');
  return { ...account, acknowledged: DOCUMENTS, lost, recoveredMs: 0, said: `its clock was off by ${seen.join(', ')}` };
}

async function twoServers(world: World): Promise<Outcome> {
  const store = ['--store-dir', world.directory()];
  const servers = [await world.serve(store), await world.serve(store)] as const;
  const [first, second] = servers;
  const writes = Array.from({ length: DOCUMENTS }, (_, index) =>
    world.ingest((servers[index % 2] as Server).url, index),
  );
  await Promise.all(writes);
  const traffic = new Traffic(world, servers);
  await traffic.answered(40);
  traffic.servers.delete(first);
  await first.kill();
  await traffic.answered(20);
  mustHold((await world.ingestNew(second.url)) === '200', 'the other one takes documents');
  const third = await world.serve(store);
  traffic.servers.add(third);
  await traffic.answered(20);
  const account = await traffic.stop();
  const lost = (await world.lost(second.url)) + (await world.lost(third.url));
  for (const server of [second, third]) await server.kill('SIGTERM');
  return { ...account, acknowledged: DOCUMENTS, lost, said: 'the third server checks the files at its start' };
}
