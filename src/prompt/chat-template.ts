/**
 * A checkpoint's chat template: compiled once, rendered with what transformers passes to it. Knows Jinja, not blocks.
 * What a client sends is data for the template and is never parsed as a template.
 */
import { Template } from '@huggingface/jinja';
import { BlockstitchError } from '../errors.js';
import { replaceStripCalls, STRIP_FUNCTIONS } from './strip-calls.js';

export interface TemplateContext {
  messages: readonly { role: string; content?: string | null; [field: string]: unknown }[];
  /** Null for none, as transformers has it. */
  documents: readonly { title?: string; text: string }[] | null;
  tools: readonly unknown[] | null;
  add_generation_prompt: boolean;
  /** bos_token, eos_token and so on. */
  [name: string]: unknown;
}

/** A longer prompt (without its documents) is refused: it would never fit a context. */
const MAX_RENDERED_CHARACTERS = 64 * 2 ** 20;

/** No template contains it. */
const QUESTION = 'blockstitchprobe';

export class ChatTemplate {
  readonly #template: Template;
  readonly #specialTokens: Readonly<Record<string, string>>;
  #takesParts: boolean | undefined;
  /** Whether the template names the variable `documents` at all. */
  readonly namesDocuments: boolean;

  /**
   * @param specialTokens bos_token and so on; templates add them to text
   * @throws BlockstitchError `checkpoint_invalid` for a template that does not parse
   */
  constructor(source: string, checkpointDir: string, specialTokens: Readonly<Record<string, string>> = {}) {
    this.#specialTokens = specialTokens;
    this.namesDocuments = /\bdocuments\b/.test(source);
    try {
      this.#template = new Template(source);
      replaceStripCalls(this.#template.parsed);
    } catch (error) {
      const reason = `its chat template does not parse: ${messageOf(error)}`;
      throw new BlockstitchError('checkpoint_invalid', { path: checkpointDir, reason }, { cause: error });
    }
  }

  /** What keeps the template from showing a user's question, if anything does. */
  get fault(): string | undefined {
    return this.#shows(QUESTION) || this.takesParts ? undefined : 'it does not show the text of a message';
  }

  /** Whether the template goes through the parts of a content (`{type: 'text', text}`) and cannot take a string. */
  get takesParts(): boolean {
    this.#takesParts ??= !this.#shows(QUESTION) && this.#shows([{ type: 'text', text: QUESTION }]);
    return this.#takesParts;
  }

  #shows(content: unknown): boolean {
    try {
      const messages = [{ role: 'user', content }];
      const context = { ...this.#specialTokens, messages, documents: null, tools: null, add_generation_prompt: true };
      return this.#template.render({ ...STRIP_FUNCTIONS, ...context }).includes(QUESTION);
    } catch {
      return false;
    }
  }

  /** @throws BlockstitchError `invalid_request` with what the template says of these messages */
  render(context: TemplateContext): string {
    let rendered: string;
    try {
      const messages = this.takesParts ? context.messages.map(inParts) : context.messages;
      rendered = this.#template.render({ ...STRIP_FUNCTIONS, ...context, messages });
    } catch (error) {
      // The template's own raise_exception ends here too: its message says what is wrong with the conversation.
      const reason = `The chat template cannot take these messages: ${messageOf(error)}`;
      throw new BlockstitchError('invalid_request', { reason }, { param: 'messages', cause: error });
    }
    if (rendered.length > MAX_RENDERED_CHARACTERS) {
      throw new BlockstitchError(
        'payload_too_large',
        {
          what: 'The rendered prompt',
          actual: `${rendered.length} characters`,
          limit: `${MAX_RENDERED_CHARACTERS} characters`,
          setting: 'none',
        },
        { param: 'messages' },
      );
    }
    return rendered;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function inParts(message: TemplateContext['messages'][number]): object {
  const { content } = message;
  return typeof content === 'string' ? { ...message, content: [{ type: 'text', text: content }] } : message;
}
