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

export class ChatTemplate {
  readonly #template: Template;
  /** Whether the template names the variable `documents` at all. */
  readonly namesDocuments: boolean;

  /** @throws BlockstitchError `checkpoint_invalid` for a template that does not parse */
  constructor(source: string, checkpointDir: string) {
    this.namesDocuments = /\bdocuments\b/.test(source);
    try {
      this.#template = new Template(source);
      replaceStripCalls(this.#template.parsed);
    } catch (error) {
      const reason = `its chat template does not parse: ${messageOf(error)}`;
      throw new BlockstitchError('checkpoint_invalid', { path: checkpointDir, reason }, { cause: error });
    }
  }

  /** @throws BlockstitchError `invalid_request` with what the template says of these messages */
  render(context: TemplateContext): string {
    let rendered: string;
    try {
      rendered = this.#template.render({ ...STRIP_FUNCTIONS, ...context });
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
