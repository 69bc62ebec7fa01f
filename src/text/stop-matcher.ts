/**
 * Finds stop strings in a stream of text, also across the borders of its pieces (Aho and Corasick's automaton over
 * UTF-16 units). Holds text back only while it could be the beginning of a stop string.
 * The stop that is complete first wins; of several that end together, the longest. The result never depends on how the
 * text is cut into pieces.
 */

export interface StopResult {
  /** Text that is safe to send. */
  text: string;
  /** The stop string, once it has been seen; it and what follows it are not part of any text. */
  stop?: string;
}

interface State {
  next: Map<number, State>;
  fallback: State | undefined;
  /** Length of the longest beginning of a stop string that the text seen so far ends with. */
  depth: number;
  /** The longest stop string that ends here. */
  stop: string | undefined;
}

export class StopMatcher {
  readonly #root: State;
  #state: State;
  /** Text that is held back: as many units as the state is deep. */
  #held = '';
  #stopped = false;

  /** @param stops empty strings are ignored */
  constructor(stops: readonly string[]) {
    this.#root = buildAutomaton(stops.filter((stop) => stop !== ''));
    this.#state = this.#root;
  }

  /** @returns what has become safe; after a stop, nothing more comes */
  push(text: string): StopResult {
    if (this.#stopped) return { text: '' };
    const pending = this.#held + text;
    for (let at = 0; at < text.length; at += 1) {
      this.#advance(text.charCodeAt(at));
      const { stop } = this.#state;
      if (stop === undefined) continue;
      this.#stopped = true;
      const end = this.#held.length + at + 1;
      this.#held = '';
      return { text: pending.slice(0, end - stop.length), stop };
    }
    const safe = pending.length - this.#state.depth;
    this.#held = pending.slice(safe);
    return { text: pending.slice(0, safe) };
  }

  /** @returns what was held back, at the end of the stream */
  flush(): string {
    const text = this.#held;
    this.#held = '';
    this.#state = this.#root;
    return text;
  }

  #advance(unit: number): void {
    let state: State | undefined = this.#state;
    while (state && !state.next.has(unit)) state = state.fallback;
    this.#state = state?.next.get(unit) ?? this.#root;
  }
}

function buildAutomaton(stops: readonly string[]): State {
  const root: State = { next: new Map(), fallback: undefined, depth: 0, stop: undefined };
  for (const stop of stops) {
    let state = root;
    for (let at = 0; at < stop.length; at += 1) {
      const unit = stop.charCodeAt(at);
      let child = state.next.get(unit);
      if (!child) {
        child = { next: new Map(), fallback: undefined, depth: at + 1, stop: undefined };
        state.next.set(unit, child);
      }
      state = child;
    }
    state.stop = stop;
  }
  // Breadth first: a state's fallback is less deep than the state itself.
  const queue = [root];
  for (const state of queue) {
    for (const [unit, child] of state.next) {
      queue.push(child);
      let fallback = state.fallback;
      while (fallback && !fallback.next.has(unit)) fallback = fallback.fallback;
      child.fallback = fallback?.next.get(unit) ?? root;
      child.stop ??= child.fallback.stop;
    }
  }
  return root;
}
