/**
 * The engine's side of grammars: tells the grammar thread which tokens were chosen, and reads which may come next. The
 * grammar thread works while the engine runs a step.
 * Knows messages and shared memory, not grammars.
 */
import type { MessagePort } from 'node:worker_threads';
import { MASK_STATE, MaskMemory } from './mask-memory.js';

/** Number of a compiled grammar: negative if the thread of slow grammars follows it, else the common one does. */
export type GrammarId = number;

/** Which grammar thread a line leads to. */
export type GrammarLine = 'common' | 'slow';

export type MatchCommand =
  /** `tokens`: what was chosen before, under a thread that is gone. */
  | { type: 'open'; request: number; grammar: number; tokens: readonly number[]; memory: SharedArrayBuffer }
  | { type: 'accept'; request: number; token: number }
  | { type: 'close'; request: number };

interface Followed {
  line: GrammarLine;
  grammar: number;
  /** Chosen so far. */
  tokens: number[];
  memory: MaskMemory;
}

/** A thread that was lost is back within seconds, or never. */
const MAX_DOWN_MS = 60_000;

/** What is known about the next token of a request. */
export type NextToken = 'waiting' | 'ended' | 'failed' | { allowed: Int32Array };

export class MaskLink {
  readonly #vocabSize: number;
  readonly #maxDownMs: number;
  readonly #requests = new Map<number, Followed>();
  readonly #ports = new Map<GrammarLine, MessagePort>();
  readonly #downSinceMs = new Map<GrammarLine, number>();

  /** @param maxDownMs how long requests wait for another thread where theirs was lost */
  constructor(vocabSize: number, maxDownMs = MAX_DOWN_MS) {
    this.#vocabSize = vocabSize;
    this.#maxDownMs = maxDownMs;
  }

  /** Takes the line to a (new) grammar thread. It is told all texts that the thread before followed. */
  connect(port: MessagePort, line: GrammarLine): void {
    this.#ports.get(line)?.close();
    this.#ports.set(line, port);
    this.#downSinceMs.delete(line);
    for (const [request, followed] of this.#requests) {
      const { state } = followed.memory;
      if (followed.line === line && (state === MASK_STATE.waiting || state === MASK_STATE.ready)) {
        // Its own memory: the lost thread may still write to the one before.
        followed.memory = new MaskMemory(this.#vocabSize);
        this.#open(request, followed);
      }
    }
    port.once('close', () => {
      if (this.#ports.get(line) !== port) return;
      this.#ports.delete(line);
      this.#downSinceMs.set(line, performance.now());
    });
  }

  /** @param request the engine's number of the request */
  open(request: number, grammar: GrammarId): void {
    const memory = new MaskMemory(this.#vocabSize);
    const line = grammar < 0 ? 'slow' : 'common';
    const followed: Followed = { line, grammar: Math.abs(grammar), tokens: [], memory };
    this.#requests.set(request, followed);
    if (!this.#ports.has(line) && !this.#downSinceMs.has(line)) this.#downSinceMs.set(line, performance.now());
    this.#open(request, followed);
  }

  /** @param waitMs blocks the thread for so long at most */
  next(request: number, waitMs: number): NextToken {
    const followed = this.#requests.get(request);
    switch (followed?.memory.wait(waitMs)) {
      case MASK_STATE.waiting:
        return this.#isGivenUp((followed as Followed).line) ? 'failed' : 'waiting';
      case MASK_STATE.ready:
        return { allowed: (followed as Followed).memory.mask };
      case MASK_STATE.ended:
        return 'ended';
      default:
        return 'failed';
    }
  }

  accept(request: number, token: number): void {
    const followed = this.#requests.get(request);
    if (followed?.memory.state !== MASK_STATE.ready) return;
    followed.memory.set(MASK_STATE.waiting);
    followed.tokens.push(token);
    this.#post(followed.line, { type: 'accept', request, token });
  }

  close(request: number): void {
    const line = this.#requests.get(request)?.line;
    this.#requests.delete(request);
    if (line !== undefined) this.#post(line, { type: 'close', request });
  }

  /** Ends the lines, so that they do not keep the thread alive. */
  end(): void {
    for (const port of this.#ports.values()) port.close();
  }

  #open(request: number, { line, grammar, tokens, memory }: Followed): void {
    this.#post(line, { type: 'open', request, grammar, tokens, memory: memory.buffer });
  }

  #isGivenUp(line: GrammarLine): boolean {
    const downSinceMs = this.#downSinceMs.get(line);
    return downSinceMs !== undefined && performance.now() - downSinceMs > this.#maxDownMs;
  }

  #post(line: GrammarLine, command: MatchCommand): void {
    this.#ports.get(line)?.postMessage(command);
  }
}
