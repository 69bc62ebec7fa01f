/** An engine in a process of its own, asked by lines of JSON (peer_loop.py has the protocol). Knows no engine. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Token ids. Without documents it is a plain prompt. A peer gets documents and question as one sequence. */
export interface BenchPrompt {
  documents: readonly Int32Array[];
  question: Int32Array;
}

/** What a bench measures an engine by. */
export interface MeasuredEngine {
  version: string;
  /** Milliseconds until every prompt has `newTokens` new tokens, greedy. All prompts go in together. */
  generate(prompts: readonly BenchPrompt[], newTokens: number): Promise<number>;
  /** Largest resident size so far, in bytes. */
  peakBytes(): Promise<number>;
  /** Stops the process, with whatever its threads wait for by spinning, until `resume`. */
  pause(): void;
  resume(): void;
  /** Resolves when the process has ended. */
  close(): Promise<void>;
}

/** Processes that are to end with this one. A stopped process would not notice that it is gone. */
const running = new Set<ChildProcessWithoutNullStreams>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/**
 * @param argv  arguments of `command`, which speaks the protocol on its standard input and output
 * @param killed whether close() kills it; else it has time to end by itself
 * @throws Error with the engine's own last words if it does not start
 */
export async function startPeer(
  name: string,
  command: string,
  argv: readonly string[],
  killed = true,
): Promise<MeasuredEngine> {
  const child: ChildProcessWithoutNullStreams = spawn(command, argv, { stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  running.add(child);
  void ended.then(() => running.delete(child));
  let said = '';
  child.stderr.on('data', (part) => {
    said = (said + String(part)).slice(-4000);
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async <Answer>(): Promise<Answer> => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${name} ended: ${said}`);
    return JSON.parse(value) as Answer;
  };
  const ask = async <Answer>(request: object) => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    return answer<Answer>();
  };
  const { version } = await answer<{ version: string }>();
  return {
    version,
    async generate(prompts, newTokens) {
      const sent = prompts.map(({ documents, question }) => ({
        documents: documents.map((ids) => [...ids]),
        question: [...question],
      }));
      return (await ask<{ ms: number }>({ op: 'generate', prompts: sent, new: newTokens })).ms;
    },
    async peakBytes() {
      return (await ask<{ bytes: number }>({ op: 'memory' })).bytes;
    },
    pause() {
      child.kill('SIGSTOP');
    },
    resume() {
      child.kill('SIGCONT');
    },
    async close() {
      child.stdin.end();
      child.kill(killed ? 'SIGKILL' : 'SIGCONT');
      await ended;
    },
  };
}
