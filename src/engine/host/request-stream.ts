/**
 * One request's events, on their way from the worker to the caller: a queue that ends once.
 * Knows events. `engine-host.ts` knows where they come from and who cancels.
 */
import type { BlockstitchError } from '../../errors.js';
import type { GenerateEvent } from '../engine.js';

export class RequestStream {
  #events: GenerateEvent[] = [];
  #error: BlockstitchError | undefined;
  #ended = false;
  #wake: (() => void) | undefined;
  /** Tokens sent so far. */
  tokens = 0;
  admitted = false;

  get ended(): boolean {
    return this.#ended;
  }

  push(event: GenerateEvent): void {
    if (this.#ended) return;
    if (event.type === 'token') this.tokens++;
    if (event.type === 'finish') this.#ended = true;
    this.#events.push(event);
    this.#wake?.();
  }

  /** Ends the stream with an error. Earlier events are still delivered. */
  fail(error: BlockstitchError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#wake?.();
  }

  async *events(): AsyncGenerator<GenerateEvent, void, void> {
    for (;;) {
      const events = this.#events;
      this.#events = [];
      yield* events;
      if (this.#events.length > 0) continue;
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
