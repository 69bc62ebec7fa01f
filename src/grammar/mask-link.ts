/**
 * The engine's side of grammars: tells the grammar thread which tokens were chosen, and reads which may come next. The
 * grammar thread works while the engine runs a step.
 * Knows messages and shared memory, not grammars.
 */
import type { MessagePort } from 'node:worker_threads';
import { MASK_STATE, MaskMemory } from './mask-memory.js';

/** Number of a compiled grammar. */
export type GrammarId = number;

export type MatchCommand =
  | { type: 'open'; request: number; grammar: GrammarId; memory: SharedArrayBuffer }
  | { type: 'accept'; request: number; token: number }
  | { type: 'close'; request: number };

/** What is known about the next token of a request. */
export type NextToken = 'waiting' | 'ended' | 'failed' | { allowed: Int32Array };

export class MaskLink {
  readonly #vocabSize: number;
  readonly #requests = new Map<number, MaskMemory>();
  #port: MessagePort | undefined;

  constructor(vocabSize: number) {
    this.#vocabSize = vocabSize;
  }

  /** Takes the line to a (new) grammar thread. What the thread before knew is lost. */
  connect(port: MessagePort): void {
    this.#port?.close();
    this.#port = port;
    this.#failAll();
    // The thread has ended: nobody would ever write these masks.
    port.once('close', () => {
      if (this.#port !== port) return;
      this.#port = undefined;
      this.#failAll();
    });
  }

  /** @param request the engine's number of the request */
  open(request: number, grammar: GrammarId): void {
    const memory = new MaskMemory(this.#vocabSize);
    this.#requests.set(request, memory);
    if (this.#port === undefined) memory.set(MASK_STATE.failed);
    this.#post({ type: 'open', request, grammar, memory: memory.buffer });
  }

  /** @param waitMs blocks the thread for so long at most */
  next(request: number, waitMs: number): NextToken {
    const memory = this.#requests.get(request);
    switch (memory?.wait(waitMs)) {
      case MASK_STATE.waiting:
        return 'waiting';
      case MASK_STATE.ready:
        return { allowed: (memory as MaskMemory).mask };
      case MASK_STATE.ended:
        return 'ended';
      default:
        return 'failed';
    }
  }

  accept(request: number, token: number): void {
    const memory = this.#requests.get(request);
    if (memory?.state !== MASK_STATE.ready) return;
    memory.set(MASK_STATE.waiting);
    this.#post({ type: 'accept', request, token });
  }

  close(request: number): void {
    if (this.#requests.delete(request)) this.#post({ type: 'close', request });
  }

  /** Ends the line, so that it does not keep the thread alive. */
  end(): void {
    this.#port?.close();
  }

  #failAll(): void {
    for (const memory of this.#requests.values()) memory.set(MASK_STATE.failed);
  }

  #post(command: MatchCommand): void {
    this.#port?.postMessage(command);
  }
}
