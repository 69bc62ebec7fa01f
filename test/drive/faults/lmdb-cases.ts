/** The disk below an LMDB store is full, read-only or damaged: said at once, with a remedy, and nothing wrong comes out of it. */
import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, cpSync, openSync, rmSync, statSync, truncateSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { runCli } from '../../support/cli-process.js';
import { fillDisk, mayMount, removeDisk, smallDisk } from '../../support/mounts.js';
import { type FaultCase, mustHold, type Outcome } from './case.js';
import { Traffic } from './traffic.js';
import { DOCUMENTS, idOf, type World } from './world.js';

const PAGE_BYTES = 4096;
const PAGES_OVERWRITTEN = 6;
const mountSkip = () => (mayMount ? undefined : 'this process may not mount');

export const LMDB_CASES: readonly FaultCase[] = [
  {
    name: 'lmdb-full',
    about: '--store-max is reached: texts are answered, what is there stays, also after a restart',
    short: true,
    run: full,
  },
  {
    name: 'lmdb-disk-full',
    about: 'no room on the disk: the same, and documents are taken again once there is room',
    skip: mountSkip,
    run: diskFull,
  },
  {
    name: 'lmdb-truncated',
    about: 'data.mdb cut short after a kill: named at the start, the remedy works',
    run: truncated,
  },
  {
    name: 'lmdb-page-overwritten',
    about: `a random page overwritten after a kill, ${PAGES_OVERWRITTEN} times: named at the start, or nothing wrong comes out`,
    run: overwritten,
  },
  {
    name: 'lmdb-read-only',
    about: 'the file system is read-only at the start: named; all is there once it can be written again',
    skip: mountSkip,
    run: readOnly,
  },
];

/** A directory with all documents in it. @param end `SIGKILL` leaves it as a crash does */
async function filled(world: World, end: NodeJS.Signals, directory = world.directory()): Promise<string> {
  const server = await world.serve(['--store-dir', directory]);
  await world.ingestAll(server.url);
  await server.kill(end);
  return directory;
}

async function full(world: World): Promise<Outcome> {
  const directory = await filled(world, 'SIGTERM');
  const open = await world.serve(['--store-dir', directory]);
  const bytes = await world.metric(open.url, 'tier_bytes', 'tier="lmdb"');
  await open.kill('SIGTERM');
  const argv = ['--store-dir', directory, '--store-max', String(Math.round(bytes * 1.5))];
  const server = await world.serve(argv);
  const traffic = new Traffic(world, [server]);
  const outcomes = new Map<string, number>();
  for (let each = 0; each < 25; each++) {
    const written = await world.ingestNew(server.url);
    mustHold(['200', '503 store_failed'].includes(written), `a full store answers 200 or 503, not ${written}`);
    outcomes.set(written, (outcomes.get(written) ?? 0) + 1);
  }
  await traffic.answered(20);
  const account = await traffic.stop();
  const state = await world.storeState(server.url);
  await server.kill('SIGTERM');
  const again = await world.serve(argv);
  const lost = await world.lost(again.url);
  await again.kill('SIGTERM');
  const words = [...outcomes].map(([answer, count]) => `${count} times ${answer}`).join(', ');
  return { ...account, acknowledged: DOCUMENTS, lost, said: `ingestions: ${words}; /ready: store ${state}` };
}

async function diskFull(world: World): Promise<Outcome> {
  const disk = smallDisk(24) as string;
  try {
    const server = await world.serve(['--store-dir', join(disk, 'store')]);
    await world.ingestAll(server.url);
    const traffic = new Traffic(world, [server]);
    await traffic.answered(10);
    const filler = fillDisk(disk);
    await world.until(
      'an ingestion is refused',
      async () => (await world.ingestNew(server.url)) === '503 store_failed',
    );
    await world.until('/ready says it', async () => {
      await world.ingestNew(server.url);
      return (await world.storeState(server.url)) === 'failing';
    });
    await traffic.answered(20);
    unlinkSync(filler);
    const recoveredMs = await world.until('documents are taken', async () => {
      return (await world.ingestNew(server.url)) === '200' && (await world.storeState(server.url)) === 'ok';
    });
    const account = await traffic.stop();
    await server.kill();
    const again = await world.serve(['--store-dir', join(disk, 'store')]);
    const lost = await world.lost(again.url);
    await again.kill('SIGTERM');
    return { ...account, acknowledged: DOCUMENTS, lost, recoveredMs, said: '/ready: store failing; 503 store_failed' };
  } finally {
    removeDisk(disk);
  }
}

/** A start over damaged files. @returns true if it was refused in the way that it should be */
async function refused(world: World, directory: string): Promise<boolean> {
  const check = await runCli(['doctor', '--store-dir', directory], world.home);
  if (check.code === 0) return false;
  const { code, stderr } = await runCli(['serve', '--port', '0', '--store-dir', directory], world.home);
  mustHold(code === 1, `the start ends with 1, not ${code}`);
  mustHold(stderr.includes(`store in ${directory} is damaged`) && stderr.includes('Move the directory away'), stderr);
  return true;
}

/** What the message tells to do. */
async function remedy(world: World, directory: string): Promise<number> {
  rmSync(directory, { recursive: true });
  await filled(world, 'SIGTERM', directory);
  const server = await world.serve(['--store-dir', directory]);
  const lost = await world.lost(server.url);
  await server.kill('SIGTERM');
  return lost;
}

async function truncated(world: World): Promise<Outcome> {
  const directory = await filled(world, 'SIGKILL');
  const file = join(directory, 'data.mdb');
  truncateSync(file, Math.floor(statSync(file).size * (0.2 + 0.6 * world.random())));
  mustHold(await refused(world, directory), 'the start is refused');
  const lost = await remedy(world, directory);
  const said = 'exit 1: directory, damage and remedy named; sent again after the remedy';
  return { answers: DOCUMENTS, wrong: lost, inFlight: 0, refused: 0, failed: [], acknowledged: DOCUMENTS, lost, said };
}

async function overwritten(world: World): Promise<Outcome> {
  const healthy = await filled(world, 'SIGKILL');
  const outcome: Outcome = {
    ...{ answers: 0, wrong: 0, inFlight: 0, refused: 0, failed: [] as string[] },
    ...{ acknowledged: DOCUMENTS, lost: 0, said: '' },
  };
  let [named, served, damaged] = [0, 0, 0];
  for (let time = 0; time < PAGES_OVERWRITTEN; time++) {
    const directory = world.directory();
    cpSync(healthy, directory, { recursive: true });
    const file = join(directory, 'data.mdb');
    const handle = openSync(file, 'r+');
    // The first time the page that says where the trees begin.
    const page = time === 0 ? 0 : world.draw(0, Math.floor(statSync(file).size / PAGE_BYTES) - 1);
    writeSync(handle, randomFillSync(Buffer.alloc(PAGE_BYTES)), 0, PAGE_BYTES, page * PAGE_BYTES);
    closeSync(handle);
    if (await refused(world, directory)) {
      named++;
      continue;
    }
    served++;
    const server = await world.serve(['--store-dir', directory]);
    for (let index = 0; index < DOCUMENTS; index++) {
      const { status, code, answer } = await world.askOf(server.url, { id: idOf(index) }, index);
      outcome.answers++;
      // A record on the page is damaged, and named so. It can be sent again.
      if (code === 'document_damaged') {
        damaged++;
        await world.ingest(server.url, index);
      } else if (status !== 200) outcome.failed.push(`page ${page}: ${status} ${code}`);
      else if (!world.isRight(index, answer)) outcome.wrong++;
    }
    outcome.lost += await world.lost(server.url);
    await server.kill('SIGTERM');
  }
  outcome.said = `${named} starts refused by name, ${served} served, ${damaged} documents named as damaged`;
  return outcome;
}

async function readOnly(world: World): Promise<Outcome> {
  const disk = smallDisk(48) as string;
  const remount = (how: 'ro' | 'rw') => {
    const { status, stderr } = spawnSync('mount', ['-o', `remount,${how}`, disk], { encoding: 'utf8' });
    mustHold(status === 0, `mount -o remount,${how}: ${stderr}`);
  };
  try {
    const directory = await filled(world, 'SIGTERM', join(disk, 'store'));
    remount('ro');
    const { code, stderr } = await runCli(['serve', '--port', '0', '--store-dir', directory], world.home);
    mustHold((code === 1 || code === 2) && stderr.includes(directory), `exit ${code}: ${stderr}`);
    remount('rw');
    const server = await world.serve(['--store-dir', directory]);
    const lost = await world.lost(server.url);
    await server.kill('SIGTERM');
    const said = `exit ${code}: ${
      stderr
        .split('\n')
        .find((line) => line.includes('error'))
        ?.replace(directory, 'DIR') ?? ''
    }`;
    return {
      answers: DOCUMENTS,
      wrong: lost,
      inFlight: 0,
      refused: 0,
      failed: [],
      acknowledged: DOCUMENTS,
      lost,
      said,
    };
  } finally {
    removeDisk(disk);
  }
}
