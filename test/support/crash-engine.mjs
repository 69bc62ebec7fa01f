/**
 * Loaded into a server's process with `--import`: at SIGUSR2 its engine worker throws between two steps, as a defect would.
 * A new worker starts as after any other end.
 */
import { syncBuiltinESMExports } from 'node:module';
import threads from 'node:worker_threads';

const MARK = '--crashes-when-told';
const CHANNEL = 'blockstitch-crash-engine';

if (threads.isMainThread) {
  const { Worker } = threads;
  threads.Worker = class extends Worker {
    constructor(file, options) {
      super(file, String(file).includes('engine-worker') ? { ...options, argv: [MARK] } : options);
    }
  };
  syncBuiltinESMExports();
  const channel = new threads.BroadcastChannel(CHANNEL);
  channel.unref();
  process.on('SIGUSR2', () => channel.postMessage('crash'));
} else if (process.argv.includes(MARK)) {
  const channel = new threads.BroadcastChannel(CHANNEL);
  channel.unref();
  channel.onmessage = () => {
    throw new Error('told to crash');
  };
}
