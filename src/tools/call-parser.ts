/**
 * Finds calls in the text of an answer, as it comes. A state machine over characters: however the text is cut into
 * pieces, the same calls and the same content come out. No text is lost: what is no call is content, with its marker and
 * its white space. Only the notation's own signs, other fields of a call, and white space around calls are dropped.
 * Once a call's name and the beginning of its arguments have been read it is a call, whatever follows: its arguments are
 * given out as they come. Knows text, not tokens.
 */
import { type CallNotation, HERMES_END } from './call-notation.js';
import { CallObject } from './call-object.js';

export type ParsedPart =
  | { type: 'content'; text: string }
  /** A call begins; `index` counts from 0. */
  | { type: 'call'; index: number; name: string }
  /** More of the arguments of a call, as JSON text. */
  | { type: 'arguments'; index: number; text: string };

export interface CallParserOptions {
  notation: CallNotation;
  /** The client's functions. A call without a marker must name one of them: it might be an answer in JSON. */
  functions: ReadonlySet<string>;
  /** Nothing is read behind so many calls. Default: no limit. */
  most?: number;
}

/**
 * `start`: nothing but white space so far. `text`: content, or the beginning of a marker. `open`: behind a marker.
 * `item`: in front of a call. `call`: in a call. `behind`: behind a call. `done`: there are as many calls as may be.
 */
type State = 'start' | 'text' | 'open' | 'item' | 'call' | 'behind' | 'done';

const SPACE = /[ \t\r\n]/;

export class CallParser {
  readonly #notation: CallNotation;
  readonly #functions: ReadonlySet<string>;
  readonly #most: number;
  #state: State = 'start';
  /** White space that is content if more content follows. */
  #space = '';
  /** A beginning of the marker. */
  #marker = '';
  /** What has been read since the last content or call: content if no call comes of it. */
  #raw = '';
  /** The call that is being read has no marker in front of it. */
  #isBare = false;
  #object = new CallObject();
  /** The call that is being read has been given out. */
  #isGiven = false;
  #calls = 0;
  #parts: ParsedPart[] = [];

  constructor({ notation, functions, most = Number.POSITIVE_INFINITY }: CallParserOptions) {
    this.#notation = notation;
    this.#functions = functions;
    this.#most = most;
  }

  /** Calls that were given out. */
  get calls(): number {
    return this.#calls;
  }

  /** Whether the arguments of every call are there to their end. */
  get isWhole(): boolean {
    return !this.#isGiven || this.#object.argumentsEnded;
  }

  /** Whether nothing more is read. */
  get isDone(): boolean {
    return this.#state === 'done';
  }

  /** @returns what has become certain with this text */
  push(text: string): ParsedPart[] {
    for (let at = 0; at < text.length && this.#state !== 'done'; at++) this.#take(text[at] as string);
    return this.#taken();
  }

  /** @returns what was held back; the text has ended */
  flush(): ParsedPart[] {
    const isCut = this.#state === 'open' || (this.#state === 'call' && !this.#isGiven);
    if (isCut || (this.#state === 'item' && this.#raw.includes(this.#notation.marker))) this.#giveBack();
    for (const character of this.#marker) this.#content(character);
    this.#marker = '';
    if (this.#calls === 0 && this.#space !== '') this.#add({ type: 'content', text: this.#space });
    this.#space = '';
    return this.#taken();
  }

  #taken(): ParsedPart[] {
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }

  #take(character: string): void {
    switch (this.#state) {
      case 'start':
        if (SPACE.test(character)) this.#space += character;
        else if (this.#notation.bare && character === '{') this.#inItem(character);
        else this.#inText(character);
        break;
      case 'text':
        this.#inText(character);
        break;
      case 'open':
        if (this.#notation.name !== 'mistral') this.#inItem(character);
        else if (SPACE.test(character)) this.#raw += character;
        else if (character === '[') this.#expectItem(character);
        else this.#noCall(character);
        break;
      case 'item':
        this.#inItem(character);
        break;
      case 'call':
        this.#inCall(character);
        break;
      case 'behind':
        this.#behindCall(character);
    }
  }

  #inText(character: string): void {
    this.#state = 'text';
    const { marker } = this.#notation;
    this.#marker += character;
    while (!marker.startsWith(this.#marker)) {
      this.#content(this.#marker[0] as string);
      this.#marker = this.#marker.slice(1);
    }
    if (this.#marker !== marker) return;
    this.#raw = this.#space + marker;
    this.#space = '';
    this.#marker = '';
    this.#isBare = false;
    this.#state = 'open';
  }

  #inItem(character: string): void {
    if (this.#state === 'start') {
      this.#raw = this.#space;
      this.#space = '';
      this.#isBare = true;
    }
    if (SPACE.test(character)) {
      this.#raw += character;
      return;
    }
    this.#object = new CallObject(this.#isBare);
    this.#state = 'call';
    this.#inCall(character);
  }

  #inCall(character: string): void {
    const state = this.#object.push(character);
    if (state === 'bad') {
      // A call that was given out stays one.
      this.#isGiven = false;
      this.#noCall(character);
      return;
    }
    this.#raw += character;
    if (!this.#isGiven) this.#giveCall(state === 'end');
    if (this.#isGiven) this.#giveArguments();
    if (state !== 'end') return;
    if (!this.#isGiven) {
      if (this.#state === 'call') this.#noCall('');
      return;
    }
    this.#isGiven = false;
    this.#raw = '';
    this.#state = this.#calls >= this.#most ? 'done' : 'behind';
  }

  /** Gives the call out once it is certain to be one. */
  #giveCall(isEnd: boolean): void {
    const { name, hasArguments } = this.#object;
    if (name === undefined) return;
    if (this.#isBare && !this.#functions.has(name)) {
      this.#noCall('');
      return;
    }
    // A function without parameters may be called without arguments.
    if (!hasArguments && (!isEnd || this.#isBare)) return;
    const index = this.#calls++;
    this.#isGiven = true;
    this.#raw = '';
    this.#add({ type: 'call', index, name });
    if (!hasArguments) this.#add({ type: 'arguments', index, text: '{}' });
  }

  #giveArguments(): void {
    const text = this.#object.takeArguments();
    if (text === '') return;
    this.#raw = '';
    this.#add({ type: 'arguments', index: this.#calls - 1, text });
  }

  #behindCall(character: string): void {
    const { name } = this.#notation;
    const isNext = character === { hermes: undefined, llama3_json: ';', mistral: ',' }[name];
    const end = name === 'mistral' ? ']' : name === 'hermes' ? HERMES_END : '';
    const read = this.#raw.trimStart() + character;
    if (SPACE.test(character)) this.#raw += character;
    else if (isNext) {
      this.#isBare = name === 'llama3_json';
      this.#expectItem(character);
    } else if (read === end) this.#endCalls();
    else if (end.startsWith(read)) this.#raw += character;
    else this.#again(character);
  }

  #expectItem(character: string): void {
    this.#raw += character;
    this.#state = 'item';
  }

  #endCalls(): void {
    this.#raw = '';
    this.#state = 'text';
  }

  /** What was read is no call, so it is content; `character` was not read. */
  #noCall(character: string): void {
    this.#giveBack();
    if (character !== '') this.#inText(character);
  }

  /** What was read behind a call does not belong to it; it may begin another one. */
  #again(character: string): void {
    const read = this.#raw + character;
    this.#raw = '';
    for (const each of read) this.#inText(each);
  }

  #giveBack(): void {
    const text = this.#raw;
    this.#raw = '';
    this.#state = 'text';
    for (let at = 0; at < text.length; at++) this.#content(text[at] as string);
  }

  #content(character: string): void {
    if (SPACE.test(character)) this.#space += character;
    else {
      this.#add({ type: 'content', text: this.#space + character });
      this.#space = '';
    }
  }

  /** Joins parts of the same kind. */
  #add(part: ParsedPart): void {
    const last = this.#parts.at(-1);
    if (last?.type === 'content' && part.type === 'content') last.text += part.text;
    else if (last?.type === 'arguments' && part.type === 'arguments' && last.index === part.index)
      last.text += part.text;
    else this.#parts.push(part);
  }
}
