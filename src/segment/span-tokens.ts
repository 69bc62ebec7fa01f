/**
 * One text and the tokens of its spans. Segmenters look at many spans and keep few: they count while they choose, and
 * the ids of the chosen spans are made once, exactly as the prompt needs them.
 * Counting makes no ids. It is told apart from making them because the tokens of two neighbours joined are not always
 * those of the span that they form.
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

  /** Ids of a span on its own. */
  encode({ start, end }: TextSpan): Int32Array {
    return this.#tokenizer.encode(this.text.slice(start, end), { pace: this.pace });
  }
}
