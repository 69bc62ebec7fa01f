/**
 * The output of a response: each run of text is a message, each call an item of its own, in the order in which they were
 * written. Says what happens to them in OpenAI's events. Knows shapes; `choice-stream.ts` says what was written.
 */
import type { CallNotation } from '../../tools/call-notation.js';
import type { OutputItem } from '../schemas/responses-schema.js';
import type { ChoiceEvent } from './choice-stream.js';
import { callId } from './wire-calls.js';

/** Without its place in the stream: `sequence_number` is the route's. */
export type OutputEvent = { type: string } & Record<string, unknown>;

type Status = OutputItem['status'];
type OutputText = Extract<OutputItem, { type: 'message' }>['content'][number];

export class ResponseOutput {
  /** Items that are there to their end. */
  readonly items: OutputItem[] = [];
  #open: OutputItem | undefined;
  /** The text of the open message, or the arguments of the open call. */
  #written = '';
  #isCut = false;

  /** @param messageId of the first message */
  constructor(
    private readonly messageId: string,
    private readonly notation: CallNotation,
  ) {}

  /** Whether the limit of tokens ended the answer. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** @returns what happens to the items */
  take(event: ChoiceEvent): OutputEvent[] {
    switch (event.type) {
      case 'text':
        return event.text === '' ? [] : this.#takeText(event.text);
      case 'call':
        return event.part.type === 'call' ? this.#beginCall(event.part.name) : this.#takeArguments(event.part.text);
      case 'finish':
        this.#isCut = event.reason === 'length';
        return this.#finish(event.isCallCut);
      default:
        return [];
    }
  }

  #takeText(text: string): OutputEvent[] {
    const begun = this.#open?.type === 'message' ? [] : [...this.#close('completed'), ...this.#beginMessage()];
    this.#written += text;
    return [...begun, { type: 'response.output_text.delta', ...this.#contentPlace(), delta: text, logprobs: [] }];
  }

  #beginMessage(): OutputEvent[] {
    const index = this.items.length;
    const id = index === 0 ? this.messageId : `${this.messageId}-${index}`;
    const added = this.#begin({ id, type: 'message', role: 'assistant', status: 'in_progress', content: [] });
    return [added, { type: 'response.content_part.added', ...this.#contentPlace(), part: outputText('') }];
  }

  #beginCall(name: string): OutputEvent[] {
    const closed = this.#close('completed');
    const id = callId(this.notation);
    const call = { call_id: id, name, arguments: '', status: 'in_progress' as const };
    return [...closed, this.#begin({ id: `fc_${id.replace(/^call_/, '')}`, type: 'function_call', ...call })];
  }

  #takeArguments(text: string): OutputEvent[] {
    this.#written += text;
    return [{ type: 'response.function_call_arguments.delta', ...this.#place(), delta: text }];
  }

  #finish(isCallCut: boolean): OutputEvent[] {
    // An answer without any text is an empty message.
    const begun = this.#open === undefined ? this.#beginMessage() : [];
    const isCut = this.#open?.type === 'function_call' ? isCallCut : this.#isCut;
    return [...begun, ...this.#close(isCut ? 'incomplete' : 'completed')];
  }

  #begin(item: OutputItem): OutputEvent {
    this.#open = item;
    this.#written = '';
    return { type: 'response.output_item.added', output_index: this.items.length, item };
  }

  #close(status: Status): OutputEvent[] {
    const open = this.#open;
    if (open === undefined) return [];
    const text = this.#written;
    const place = this.#place();
    const done: OutputEvent[] = [];
    let item: OutputItem;
    if (open.type === 'message') {
      const part = outputText(text);
      item = { ...open, status, content: [part] };
      done.push({ type: 'response.output_text.done', ...this.#contentPlace(), text, logprobs: [] });
      done.push({ type: 'response.content_part.done', ...this.#contentPlace(), part });
    } else {
      item = { ...open, status, arguments: text };
      done.push({ type: 'response.function_call_arguments.done', ...place, name: open.name, arguments: text });
    }
    this.items.push(item);
    this.#open = undefined;
    return [...done, { type: 'response.output_item.done', output_index: place.output_index, item }];
  }

  #place() {
    return { item_id: this.#open?.id, output_index: this.items.length };
  }

  #contentPlace() {
    return { ...this.#place(), content_index: 0 };
  }
}

function outputText(text: string): OutputText {
  return { type: 'output_text', text, annotations: [] };
}
