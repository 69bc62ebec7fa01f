/**
 * Loaded into a server's process with `--import`: SIGUSR2 ends its engine worker, and after that no other one starts.
 * So a test sees from outside the same as an operator whose engine stays down.
 */
import { syncBuiltinESMExports } from 'node:module';
import threads from 'node:worker_threads';

if (threads.isMainThread) {
  const { Worker } = threads;
  const engines = new Set();
  let broken = false;
  threads.Worker = class extends Worker {
    constructor(file, options) {
      const isEngine = String(file).includes('engine-worker');
      if (isEngine && broken) throw new Error('no worker is started in this test');
      super(file, options);
      if (isEngine) engines.add(this);
    }
  };
  syncBuiltinESMExports();
  process.on('SIGUSR2', () => {
    broken = true;
    for (const engine of engines) void engine.terminate();
  });
}
