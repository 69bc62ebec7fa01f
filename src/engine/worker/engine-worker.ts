/**
 * The worker thread: loads addon and graph, then runs the engine core, one step after another, while there is work.
 * Knows the loop and its messages. `engine-core.ts` knows what a step does.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { MaskLink } from '../../grammar/mask-link.js';
import { loadAddon } from '../../kernels/load-addon.js';
import { PromptLookup, ROW_SHARES } from '../schedule/prompt-lookup.js';
import { type EngineCommand, hasNews } from '../wire/messages.js';
import { SharedCounters } from '../wire/shared-counters.js';
import type { WorkerLoaded, WorkerPool, WorkerReady, WorkerSetup } from '../wire/worker-setup.js';
import { ContextProbe } from './context-probe.js';
import { EngineCore } from './engine-core.js';
import { ModelRunner } from './model-runner.js';
import { measureRowMultiple } from './row-probe.js';

/** Milliseconds of the clock that both threads share. It never goes back. */
const now = () => performance.timeOrigin + performance.now();

async function main(): Promise<void> {
  const port = parentPort;
  if (port === null) throw new Error('the engine worker runs in a worker thread only');
  const setup = workerData as WorkerSetup;
  const addon = loadAddon();
  const runner = await ModelRunner.create(setup.model, setup.threads, setup.device);
  const pool = setup.pool ?? (await askForPool(port));
  const rowMultiple = await measureRowMultiple(runner, pool.id, pool.pages, 0);
  const contextProbe = new ContextProbe(setup.model, setup.threads, addon, pool.id);
  const masks = new MaskLink(setup.model.config.vocabSize);
  const { pageTokens, probe } = setup;
  // A proposed token is verified in a row beside others. Its logits must be those of a row alone.
  const looksUp = setup.promptLookup && setup.device === undefined && rowMultiple !== undefined;
  const core = new EngineCore({
    runner: { draws: runner.draws, run: (step) => runner.run(step), probe: (step) => contextProbe.run(step) },
    pages: pool.pages,
    pageTokens,
    vocabSize: setup.model.config.vocabSize,
    layout: { poolId: pool.id, scratchPage: pool.pages, rowMultiple: rowMultiple ?? 1 },
    ...(probe === undefined ? {} : { probeLayout: { ...probe, pageTokens, rowMultiple: rowMultiple ?? 1 } }),
    masks,
    ...(looksUp ? { drafts: new PromptLookup(ROW_SHARES[setup.model.weights]) } : {}),
    policy: setup.policy,
    counters: new SharedCounters(setup.counters),
    now,
  });

  let inbox: EngineCommand[] = [];
  let wake: (() => void) | undefined;
  port.on('message', (command: EngineCommand) => {
    inbox.push(command);
    wake?.();
  });
  const ready: WorkerReady = { ready: true, rowMultiple };
  port.postMessage(ready);

  for (;;) {
    const commands = inbox;
    inbox = [];
    for (const command of commands) {
      if (command.type === 'close') {
        masks.end();
        await runner.release();
        await contextProbe.release();
        port.close();
        return;
      }
      if (command.type === 'grammars') masks.connect(command.port, command.line);
      else core.handle(command);
    }
    const ran = await core.turn();
    const news = core.takeNews();
    if (hasNews(news)) port.postMessage(news);
    if (!ran && inbox.length === 0) await nextCommand(core.nextDeadlineMs);
  }

  function nextCommand(deadlineMs: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = deadlineMs === undefined ? undefined : setTimeout(resolve, Math.max(0, deadlineMs - now()) + 1);
      wake = () => {
        clearTimeout(timer);
        wake = undefined;
        resolve();
      };
    });
  }
}

/** Tells the host that the model is loaded. The host then makes the pool from the memory that is left. */
function askForPool(port: MessagePort): Promise<WorkerPool> {
  const answer = new Promise<WorkerPool>((resolve) => port.once('message', resolve));
  port.postMessage({ loaded: true } satisfies WorkerLoaded);
  return answer;
}

await main();
