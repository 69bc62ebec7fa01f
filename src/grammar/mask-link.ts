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
  | { type: 'open'; request: number; grammar: number; memory: SharedArrayBuffer }
  | { type: 'accept'; request: number; token: number }
  | { type: 'close'; request: number };

/** What is known about the next token of a request. */
export type NextToken = 'waiting' | 'ended' | 'failed' | { allowed: Int32Array };

export class MaskLink {
  readonly #vocabSize: number;
  readonly #requests = new Map<number, { memory: MaskMemory; line: GrammarLine }>();
  readonly #ports = new Map<GrammarLine, MessagePort>();

  constructor(vocabSize: number) {
    this.#vocabSize = vocabSize;
  }

  /** Takes the line to a (new) grammar thread. What the thread before knew is lost. */
  connect(port: MessagePort, line: GrammarLine): void {
    this.#ports.get(line)?.close();
    this.#ports.set(line, port);
    this.#failAll(line);
    // The thread has ended: nobody would ever write these masks.
    port.once('close', () => {
      if (this.#ports.get(line) !== port) return;
      this.#ports.delete(line);
      this.#failAll(line);
    });
  }

  /** @param request the engine's number of the request */
  open(request: number, grammar: GrammarId): void {
    const memory = new MaskMemory(this.#vocabSize);
    const line = grammar < 0 ? 'slow' : 'common';
    this.#requests.set(request, { memory, line });
    if (!this.#ports.has(line)) memory.set(MASK_STATE.failed);
    this.#post(line, { type: 'open', request, grammar: Math.abs(grammar), memory: memory.buffer });
  }

  /** @param waitMs blocks the thread for so long at most */
  next(request: number, waitMs: number): NextToken {
    const memory = this.#requests.get(request)?.memory;
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
    const followed = this.#requests.get(request);
    if (followed?.memory.state !== MASK_STATE.ready) return;
    followed.memory.set(MASK_STATE.waiting);
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

  #failAll(ofLine: GrammarLine): void {
    for (const { memory, line } of this.#requests.values()) if (line === ofLine) memory.set(MASK_STATE.failed);
  }

  #post(line: GrammarLine, command: MatchCommand): void {
    this.#ports.get(line)?.postMessage(command);
  }
}
