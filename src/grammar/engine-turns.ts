/**
 * What a grammar thread is doing for an engine at this moment, in memory that it shares with the thread that watches it.
 * Knows the layout: commands that were begun and ended (odd while one is carried out), and the grammar of the last one.
 */
const COUNT = 0;
const GRAMMAR = 1;

export class EngineTurns {
  readonly words: Int32Array;

  /** @param words of the other side, int32 [2]; new memory if absent */
  constructor(words: Int32Array = new Int32Array(new SharedArrayBuffer(8))) {
    this.words = words;
  }

  /** Goes up with each command that begins and each that ends. */
  get count(): number {
    return Atomics.load(this.words, COUNT);
  }

  /** The number of the grammar whose command is carried out; undefined: none is. */
  get running(): number | undefined {
    return this.count % 2 === 0 ? undefined : Atomics.load(this.words, GRAMMAR);
  }

  /** Carries out a command. No other may run meanwhile. */
  async run(grammar: number, work: () => Promise<void>): Promise<void> {
    Atomics.store(this.words, GRAMMAR, grammar);
    Atomics.add(this.words, COUNT, 1);
    try {
      await work();
    } finally {
      Atomics.add(this.words, COUNT, 1);
    }
  }
}
