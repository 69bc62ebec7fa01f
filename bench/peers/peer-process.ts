/** A peer in a process of its own, asked by lines of JSON (peer_loop.py). Knows the protocol, not the peers. */
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
  name: string;
  /** Milliseconds until every prompt has `newTokens` new tokens, greedy. All prompts go in together. */
  generate(prompts: readonly BenchPrompt[], newTokens: number): Promise<number>;
  /** Largest resident size so far, in bytes. */
  peakBytes(): Promise<number>;
  close(): Promise<void>;
}

/**
 * @param python the interpreter that has the peer's packages
 * @throws Error with the peer's own last words if it does not start
 */
export async function startPeer(name: string, python: string, argv: readonly string[]): Promise<MeasuredEngine> {
  const child: ChildProcessWithoutNullStreams = spawn(python, argv, { stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (part) => {
    said = (said + String(part)).slice(-4000);
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<Record<string, number>> => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${name} ended: ${said}`);
    return JSON.parse(value) as Record<string, number>;
  };
  const ask = async (request: object) => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    return answer();
  };
  await answer();
  return {
    name,
    async generate(prompts, newTokens) {
      const { ms } = await ask({
        op: 'generate',
        prompts: prompts.map(({ documents, question }) => [...documents, question].flatMap((ids) => [...ids])),
        new: newTokens,
      });
      return ms as number;
    },
    async peakBytes() {
      return (await ask({ op: 'memory' }))['bytes'] as number;
    },
    async close() {
      const ended = once(child, 'close');
      child.stdin.end();
      child.kill();
      await ended;
    },
  };
}
