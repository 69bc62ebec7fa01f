/**
 * Reads one call, `{"name": ..., "arguments": {...}}`, character by character: its name, and its arguments as the model
 * writes them. Is strict about the object around them. Inside the arguments only strings and brackets are followed, so
 * that they can be passed on at once; whether they are JSON is the client's to check, as with OpenAI.
 */
import { ARGUMENT_KEYS } from './call-notation.js';

/** A longer key or name is none. */
const MAX_STRING = 256;
const SPACE = /[ \t\r\n]/;

type State = 'start' | 'key' | 'key-text' | 'colon' | 'value' | 'text' | 'nested' | 'scalar' | 'behind' | 'end' | 'bad';
/** Keys that a call may have besides. */
const MINOR_KEYS: ReadonlySet<string> = new Set(['id', 'type']);

type Field = 'name' | 'arguments' | 'other';

export class CallObject {
  readonly #isPlain: boolean;
  #state: State = 'start';
  #field: Field = 'other';
  /** JSON text of the string or scalar that is being read. */
  #text = '';
  #escaped = false;
  /** Inside a nested value: open brackets, and whether in a string. */
  #depth = 0;
  #quoted = false;
  #keys = 0;
  #name: string | undefined;
  #arguments = '';
  #hasArguments = false;

  /** @param isPlain no other keys may stand in it: it might be an object that is no call */
  constructor(isPlain = false) {
    this.#isPlain = isPlain;
  }

  /** The function, once the object has said it. */
  get name(): string | undefined {
    return this.#name;
  }

  /** Whether arguments have begun. */
  get hasArguments(): boolean {
    return this.#hasArguments;
  }

  /** Whether the arguments are there to their end. */
  get argumentsEnded(): boolean {
    return this.#hasArguments && !(this.#state === 'nested' && this.#field === 'arguments');
  }

  /** @returns `end` behind the closing brace; `bad` if this character cannot stand here: it was not taken */
  push(character: string): 'open' | 'end' | 'bad' {
    this.#state = this.#next(character);
    return this.#state === 'end' || this.#state === 'bad' ? this.#state : 'open';
  }

  /** @returns the text of the arguments that has come since the last time */
  takeArguments(): string {
    const text = this.#arguments;
    this.#arguments = '';
    return text;
  }

  #next(character: string): State {
    if (this.#state === 'nested') return this.#inNested(character);
    if (this.#state === 'key-text' || this.#state === 'text') return this.#inText(character);
    if (this.#state === 'scalar') return this.#inScalar(character);
    if (SPACE.test(character)) return this.#state;
    switch (this.#state) {
      case 'start':
        return character === '{' ? 'key' : 'bad';
      case 'key':
        if (character === '}' && this.#keys === 0) return 'end';
        return character === '"' ? this.#open('key-text', character) : 'bad';
      case 'colon':
        return character === ':' ? 'value' : 'bad';
      case 'value':
        return this.#beginValue(character);
      case 'behind':
        if (character === '}') return 'end';
        return character === ',' ? 'key' : 'bad';
      default:
        return 'bad';
    }
  }

  #open(state: 'key-text' | 'text' | 'scalar', character: string): State {
    this.#text = character;
    this.#escaped = false;
    return state;
  }

  #beginValue(character: string): State {
    if (character === '"') return this.#open('text', character);
    if (character === '{' || character === '[') {
      if (this.#field === 'name' || (this.#field === 'arguments' && character === '[')) return 'bad';
      if (this.#field === 'arguments') this.#hasArguments = true;
      this.#depth = 0;
      this.#quoted = false;
      this.#escaped = false;
      return this.#inNested(character);
    }
    return /[-0-9a-z]/.test(character) && this.#field !== 'name' ? this.#open('scalar', character) : 'bad';
  }

  #inNested(character: string): State {
    if (this.#field === 'arguments') this.#arguments += character;
    if (this.#quoted) {
      if (this.#escaped) this.#escaped = false;
      else if (character === '\\') this.#escaped = true;
      else if (character === '"') this.#quoted = false;
    } else if (character === '"') this.#quoted = true;
    else if (character === '{' || character === '[') this.#depth += 1;
    else if (character === '}' || character === ']') this.#depth -= 1;
    return this.#depth === 0 ? 'behind' : 'nested';
  }

  #inText(character: string): State {
    const isArguments = this.#state === 'text' && this.#field === 'arguments';
    if (this.#text.length > MAX_STRING && !isArguments) return 'bad';
    this.#text += character;
    if (this.#escaped) this.#escaped = false;
    else if (character === '\\') this.#escaped = true;
    else if (character === '"') return this.#endText();
    return this.#state;
  }

  #endText(): State {
    const value = parsed(this.#text);
    if (typeof value !== 'string') return 'bad';
    if (this.#state === 'key-text') {
      this.#keys += 1;
      // A second name, or second arguments, say nothing.
      if (value === 'name' && this.#name === undefined) this.#field = 'name';
      else this.#field = ARGUMENT_KEYS.has(value) && !this.#hasArguments ? 'arguments' : 'other';
      return this.#isPlain && this.#field === 'other' && !MINOR_KEYS.has(value) ? 'bad' : 'colon';
    }
    if (this.#field === 'name') {
      if (value === '') return 'bad';
      this.#name = value;
    }
    if (this.#field === 'arguments') this.#setArguments(value.trim());
    return 'behind';
  }

  #inScalar(character: string): State {
    if (!/[,}\s]/.test(character)) {
      if (this.#text.length > MAX_STRING) return 'bad';
      this.#text += character;
      return 'scalar';
    }
    const value = parsed(this.#text);
    if (value === undefined || (this.#field === 'arguments' && value !== null)) return 'bad';
    if (this.#field === 'arguments') this.#setArguments('');
    this.#state = 'behind';
    return this.#next(character);
  }

  /** Some models write arguments as a string of JSON, or as null. */
  #setArguments(json: string): void {
    this.#hasArguments = true;
    this.#arguments = json === '' ? '{}' : json;
  }
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
