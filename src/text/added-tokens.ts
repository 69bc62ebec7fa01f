/**
 * Finds added tokens (control tokens, and words added to the vocabulary) in a text, as the Python library does:
 * the leftmost match, of several the longest, then the token's own conditions.
 * The caller decides whether control tokens count as such: in template text they do, in a user's text never.
 */
import type { AddedToken } from './tokenizer-file.js';

/** A stretch of text, or an added token in its place. */
export type Stretch = { text: string; start: number } | { id: number };

interface Node {
  children: Map<number, Node>;
  token?: AddedToken;
}

const WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const SPACE = /\p{White_Space}/u;

export class AddedTokenSplitter {
  readonly #root: Node = { children: new Map() };
  readonly #isControl: (token: AddedToken) => boolean;
  readonly isEmpty: boolean;

  /** @param contents what to look for: the token's content, or its normalized form */
  constructor(contents: readonly { content: string; token: AddedToken }[], isControl: (token: AddedToken) => boolean) {
    this.#isControl = isControl;
    this.isEmpty = contents.length === 0;
    for (const { content, token } of contents) {
      let node = this.#root;
      for (let index = 0; index < content.length; index += 1) {
        const unit = content.charCodeAt(index);
        let child = node.children.get(unit);
        if (!child) {
          child = { children: new Map() };
          node.children.set(unit, child);
        }
        node = child;
      }
      node.token = token;
    }
  }

  /** @param parseControl whether control tokens are taken as such; otherwise they stay text */
  split(text: string, parseControl: boolean): Stretch[] {
    const stretches: Stretch[] = [];
    if (this.isEmpty) return text === '' ? [] : [{ text, start: 0 }];
    let done = 0;
    for (let at = 0; at < text.length; ) {
      const match = this.#longestAt(text, at);
      if (!match) {
        at += 1;
        continue;
      }
      const { token, end } = match;
      const taken = (parseControl || !this.#isControl(token)) && (!token.singleWord || standsAlone(text, at, end));
      if (taken) {
        const start = token.lstrip ? skipSpacesBack(text, at, done) : at;
        const stop = token.rstrip ? skipSpaces(text, end) : end;
        if (start > done) stretches.push({ text: text.slice(done, start), start: done });
        stretches.push({ id: token.id });
        done = stop;
      }
      at = taken ? Math.max(end, done) : end;
    }
    if (done < text.length) stretches.push({ text: text.slice(done), start: done });
    return stretches;
  }

  #longestAt(text: string, start: number): { token: AddedToken; end: number } | undefined {
    let node: Node | undefined = this.#root;
    let found: { token: AddedToken; end: number } | undefined;
    for (let at = start; at < text.length; at += 1) {
      node = node.children.get(text.charCodeAt(at));
      if (!node) break;
      if (node.token) found = { token: node.token, end: at + 1 };
    }
    return found;
  }
}

function standsAlone(text: string, start: number, end: number): boolean {
  const before = start === 0 ? '' : String.fromCodePoint(codePointBefore(text, start));
  const after = end >= text.length ? '' : String.fromCodePoint(text.codePointAt(end) ?? 0);
  return !WORD.test(before) && !WORD.test(after);
}

function codePointBefore(text: string, at: number): number {
  const low = text.charCodeAt(at - 1);
  const isPair = low >= 0xdc00 && low <= 0xdfff && at >= 2;
  return isPair ? (text.codePointAt(at - 2) ?? low) : low;
}

function skipSpaces(text: string, from: number): number {
  let at = from;
  while (at < text.length && SPACE.test(text[at] ?? '')) at += 1;
  return at;
}

function skipSpacesBack(text: string, from: number, limit: number): number {
  let at = from;
  while (at > limit && SPACE.test(text[at - 1] ?? '')) at -= 1;
  return at;
}
