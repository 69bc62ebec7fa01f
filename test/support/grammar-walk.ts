/** Grammars over a tokenizer, without a model: draws texts among the tokens that a grammar allows, and tries texts. */
import { GrammarService } from '../../src/grammar/grammar-service.js';
import { MaskLink } from '../../src/grammar/mask-link.js';
import type { OutputStructure } from '../../src/grammar/output-structure.js';
import { readTokenizerDefinition } from '../../src/text/read-tokenizer.js';
import { Tokenizer } from '../../src/text/tokenizer.js';
import { MARKERS } from '../../src/tools/call-notation.js';

export const WAIT_MS = 60_000;
const MOST_TOKENS = 600;
/** Texts that end strings, lists and objects: a walk must come to an end. */
const CLOSING = ['"', '}', ']', '"}', '"]', '}}'];

export function isAllowed(allowed: Int32Array, id: number): boolean {
  return (((allowed[id >> 5] as number) >>> (id & 31)) & 1) === 1;
}

export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export class GrammarWalk {
  readonly tokenizer: Tokenizer;
  readonly service: GrammarService;
  readonly link: MaskLink;
  readonly stop: number;
  requests = 0;
  readonly #ids: number[];

  private constructor(checkpoint: string, tokenizer: Tokenizer) {
    this.tokenizer = tokenizer;
    this.#ids = Array.from({ length: tokenizer.vocabSize }, (_, id) => id);
    this.stop = tokenizer.tokenId('<|im_end|>') as number;
    const setup = { checkpoint, vocabSize: tokenizer.vocabSize, stopTokenIds: [this.stop], markers: [...MARKERS] };
    this.service = new GrammarService(setup);
    this.link = new MaskLink(tokenizer.vocabSize);
    this.service.addEngine((port, line) => {
      port.unref();
      this.link.connect(port, line);
    });
  }

  /** @param checkpoint a directory with a tokenizer that has the token `<|im_end|>` */
  static async open(checkpoint: string): Promise<GrammarWalk> {
    return new GrammarWalk(checkpoint, new Tokenizer(await readTokenizerDefinition(checkpoint)));
  }

  compile(structure: OutputStructure) {
    return this.service.compile(structure, 'structured_outputs');
  }

  /** A text of tokens drawn among those allowed; `random` gives 0 to 1. */
  async walk(structure: OutputStructure, random: () => number): Promise<string> {
    return this.tokenizer.decode(await this.ids(structure, random));
  }

  async ids(structure: OutputStructure, random: () => number): Promise<number[]> {
    const { tokenizer, link, stop } = this;
    const { id, release } = await this.compile(structure);
    const request = ++this.requests;
    link.open(request, id);
    const closing = CLOSING.map((text) => tokenizer.tokenId(text)).filter((each) => each !== undefined);
    const ids: number[] = [];
    try {
      for (let count = 0; count < MOST_TOKENS; count++) {
        const next = link.next(request, WAIT_MS);
        if (next === 'ended') break;
        if (typeof next !== 'object') throw new Error(`the grammar thread says ${next}`);
        const { allowed } = next;
        if (isAllowed(allowed, stop) && random() < 0.7) break;
        const ends = closing.filter((each) => isAllowed(allowed, each));
        const all = this.#ids.filter((each) => each !== stop && isAllowed(allowed, each));
        const among = ends.length > 0 && random() < 0.4 ? ends : all;
        const token = among[Math.floor(random() * among.length)] as number;
        if (token === undefined) break;
        ids.push(token);
        link.accept(request, token);
      }
    } finally {
      link.close(request);
      release();
    }
    return ids;
  }

  /** Whether a text fits: its tokens are allowed one after another, and the end after them. */
  async accepts(structure: OutputStructure, text: string): Promise<boolean> {
    const { link, stop } = this;
    const { id, release } = await this.compile(structure);
    const request = ++this.requests;
    link.open(request, id);
    try {
      for (const token of [...this.tokenizer.encode(text, { parseControl: true }), stop]) {
        const next = link.next(request, WAIT_MS);
        if (typeof next !== 'object' || !isAllowed(next.allowed, token)) return false;
        if (token !== stop) link.accept(request, token);
      }
      return true;
    } finally {
      link.close(request);
      release();
    }
  }

  async close(): Promise<void> {
    this.link.end();
    await this.service.close();
  }
}
