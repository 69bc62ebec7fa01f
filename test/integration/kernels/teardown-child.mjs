/**
 * Ends environments while native work is in flight: `node teardown-child.mjs MODE`. teardown.test.ts runs it and looks at
 * its end. It loads the addon itself, so that only the addon can be at fault.
 */
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const ADDON = fileURLToPath(new URL('../../../kernels/build/blockstitch.node', import.meta.url));
const SHAPE = { pages: 64, pageTokens: 16, layers: 8, kvHeads: 4, headDim: 64, dtype: 'float16' };
const TOKENS = SHAPE.pages * SHAPE.pageTokens;
const COPIES = 40;
const ROUNDS = 30;

const loaded = { exports: {} };
process.dlopen(loaded, ADDON, constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_GLOBAL);
const addon = loaded.exports;

/** Starts copies in both directions and waits for none. */
function startCopies(count) {
  const id = addon.createPool(SHAPE);
  const pages = Int32Array.from({ length: SHAPE.pages }, (_, page) => page);
  for (let i = 0; i < count; i++) {
    const payload = new Uint8Array(addon.payloadBytes(id, TOKENS));
    if (i % 2 === 0) void addon.readPages(id, pages, TOKENS, payload);
    else void addon.writePages(id, pages, TOKENS, payload);
  }
  addon.destroyPool(id);
}

/** Calls the addon for ever; half of the calls throw. */
function callForEver() {
  const id = addon.createPool(SHAPE);
  const places = Int32Array.of(0, 0, 16);
  const values = new Float32Array(16 * SHAPE.kvHeads * SHAPE.headDim);
  for (;;) {
    addon.operatorStatistics();
    addon.valueDeviations(id, 0, places, values);
    try {
      addon.payloadBytes(-1, 1);
    } catch {}
    try {
      addon.setKernelLevel('none');
    } catch {}
  }
}

const IN_WORKER = {
  /** Copies are in flight when another thread ends this one. */
  terminate() {
    startCopies(COPIES);
    setInterval(() => {}, 1000);
  },
  /** JavaScript is in the middle of a call when another thread ends it. */
  'terminate-in-call': callForEver,
  /** New copies are started all the time. */
  async 'terminate-while-starting'() {
    for (;;) {
      startCopies(1);
      await new Promise(setImmediate);
    }
  },
  /** The worker ends itself with copies in flight. */
  'exit-in-worker'() {
    startCopies(COPIES);
    setTimeout(() => process.exit(0), Math.random() * 4);
  },
  /** An error that nobody catches ends the worker with copies in flight. */
  'throw-in-worker'() {
    startCopies(COPIES);
    setTimeout(() => {
      throw new Error('meant to');
    }, Math.random() * 4);
  },
  /** The worker's file is at its end; the copies are not. */
  'natural-end-of-worker'() {
    startCopies(COPIES);
  },
  /** The whole process exits while the workers are busy. */
  'exit-with-workers': callForEver,
};

const IN_MAIN = {
  /** process.exit with copies in flight. */
  async exit() {
    startCopies(COPIES);
    await delay(Math.random() * 4);
    process.exit(0);
  },
  /** The end of the main file with copies in flight. */
  'natural-end'() {
    startCopies(COPIES);
  },
  async 'exit-with-workers'() {
    await Promise.all([startWorker('exit-with-workers'), startWorker('exit-with-workers')]);
    startCopies(COPIES);
    await delay(Math.random() * 4);
    process.exit(0);
  },
};

/** @returns the worker, once it is about to begin */
async function startWorker(mode) {
  const worker = new Worker(new URL(import.meta.url), { workerData: mode });
  worker.on('error', (error) => {
    if (error.message !== 'meant to') throw error;
  });
  await new Promise((resolve) => worker.once('message', resolve));
  return worker;
}

if (!isMainThread) {
  parentPort.postMessage('begins');
  await IN_WORKER[workerData]();
} else if (IN_MAIN[process.argv[2]]) {
  await IN_MAIN[process.argv[2]]();
} else {
  const mode = process.argv[2];
  for (let round = 0; round < ROUNDS; round++) {
    const worker = await startWorker(mode);
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    if (mode.startsWith('terminate')) {
      await delay(Math.random() * 4);
      await worker.terminate();
    }
    await ended;
  }
  console.log(`${ROUNDS} workers ended`);
}
