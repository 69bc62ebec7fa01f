/**
 * Markers that nobody can guess. In a rendered template they stand for what must not pass through it: documents' texts
 * and titles, and cuts inside control tokens that a client spelled. They are lower-case letters and digits, so
 * trimming, JSON quoting and case filters leave them whole.
 */
import { randomBytes } from 'node:crypto';
import { TITLE_MARK } from './document-frame.js';

/** A rendered prompt, taken apart where documents go: one stretch more than documents. */
export interface MarkedPrompt {
  stretches: string[];
  /** Which document stands behind each stretch but the last. */
  order: number[];
}

export class TemplateMarkers {
  readonly #nonce = `bs${randomBytes(16).toString('hex')}`;
  readonly #control: RegExp | undefined;

  /** @param control matches control tokens' spellings (see `controlPattern`) */
  constructor(control: RegExp | undefined) {
    this.#control = control;
  }

  document(index: number): string {
    return `${this.#nonce}d${index}x`;
  }

  title(index: number): string {
    return `${this.#nonce}t${index}x`;
  }

  /** Behind the last message, if the prompt shall end there. The space tells whether a template trims messages. */
  get end(): string {
    return `${this.#nonce}ex `;
  }

  /** The text with a cut inside each control token's spelling, which then stays text. */
  disarm(text: string): string {
    return cutControl(text, this.#control).join(`${this.#nonce}cx`);
  }

  split(rendered: string): MarkedPrompt {
    const parts = rendered.split(new RegExp(`${this.#nonce}d(\\d+)x`));
    return {
      stretches: parts.filter((_, index) => index % 2 === 0),
      order: parts.filter((_, index) => index % 2 === 1).map(Number),
    };
  }

  /** The stretch with every title as `TITLE_MARK`. */
  withoutTitles(stretch: string): string {
    return stretch.replace(new RegExp(`${this.#nonce}t\\d+x`, 'g'), TITLE_MARK);
  }

  /**
   * The stretch with its titles, in pieces that are tokenized each on its own (one, unless control tokens were cut).
   */
  pieces(stretch: string, titles: readonly (string | undefined)[]): string[] {
    return stretch
      .replace(new RegExp(`${this.#nonce}t(\\d+)x`, 'g'), (_, index) => this.disarm(titles[Number(index)] ?? ''))
      .split(`${this.#nonce}cx`);
  }
}

/** Matches, with no width, where a control token's spelling begins; undefined if there is none. */
export function controlPattern(controlTokens: readonly string[]): RegExp | undefined {
  const spellings = controlTokens.filter((token) => token.length > 1).sort();
  if (spellings.length === 0) return undefined;
  const escaped = spellings.map((token) => token.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&'));
  return new RegExp(`(?=${escaped.join('|')})`, 'g');
}

/** The text in pieces without the spelling of a control token: each spelling is cut after its first character. */
export function cutControl(text: string, pattern: RegExp | undefined): string[] {
  const cuts = pattern ? Array.from(text.matchAll(pattern), (match) => match.index + 1) : [];
  if (cuts.length === 0) return [text];
  return [0, ...cuts].map((start, index) => text.slice(start, cuts[index] ?? text.length));
}
