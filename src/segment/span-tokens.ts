/**
 * One text and the tokens of its spans. A segmenter counts the tokens of many small spans while it chooses, and makes
 * the ids of the few spans that it has chosen, once, exactly as the prompt needs them.
 * The ids are made anew and not joined from those of the small spans: two neighbours together can have other tokens.
 */
import { type Pace, unhurried } from '../text/pace.js';
import type { Tokenizer } from '../text/tokenizer.js';

/** Half-open span of UTF-16 offsets. */
export interface TextSpan {
  start: number;
  end: number;
}

export interface CountedSpan extends TextSpan {
  tokens: number;
}

export class SpanTokens {
  readonly text: string;
  /** Told of the work as it is done: characters here, candidates where boundaries are chosen. */
  readonly pace: Pace;
  readonly #tokenizer: Pick<Tokenizer, 'count' | 'encode'>;

  constructor(text: string, tokenizer: Pick<Tokenizer, 'count' | 'encode'>, pace: Pace = unhurried) {
    this.text = text;
    this.pace = pace;
    this.#tokenizer = tokenizer;
  }

  /** The spans with the number of tokens that each has on its own. */
  counted<Span extends TextSpan>(spans: readonly Span[]): (Span & CountedSpan)[] {
    return spans.map((span) => ({ ...span, tokens: this.count(span) }));
  }

  count({ start, end }: TextSpan): number {
    return this.#tokenizer.count(this.text.slice(start, end), { pace: this.pace });
  }

  /** Tokens of a text that is not a span of this one, such as what a span says without its markup. */
  countText(text: string): number {
    return this.#tokenizer.count(text, { pace: this.pace });
  }

  /** Ids of a span on its own. */
  encode({ start, end }: TextSpan): Int32Array {
    return this.#tokenizer.encode(this.text.slice(start, end), { pace: this.pace });
  }
}
