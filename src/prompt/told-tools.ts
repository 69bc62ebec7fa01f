/**
 * Sees to it that a model knows of its tools, of its earlier calls and of what they gave. A chat template that shows them
 * gets them as they are. For any other, where tools may be called, tools are explained at the end of the system message (or
 * of the first user message, if the template takes no system message), calls become text, and results become a user's
 * message. Renderings of messages that nobody sent tell what a template shows. src/tools knows the words.
 */
import { type CallNotation, NOTATIONS } from '../tools/call-notation.js';
import { callsAsText, resultAsText, toolInstructions } from '../tools/tool-prompt.js';
import type { ChatMessage } from './chat-messages.js';
import type { ChatTemplate } from './chat-template.js';
import { inForm, learnToolCallForm } from './tool-call-form.js';

export interface Told {
  messages: readonly ChatMessage[];
  /** For the template. */
  tools?: readonly unknown[];
}

const NEEDLE = 'bstold';
const QUESTION: ChatMessage = { role: 'user', content: 'Q' };
const TOOL = {
  type: 'function',
  function: {
    name: NEEDLE,
    description: 'Q',
    parameters: { type: 'object', properties: { q: { type: 'string', description: 'Q' } }, required: ['q'] },
  },
};

export class ToldTools {
  readonly #template: ChatTemplate | undefined;
  readonly #specialTokens: Readonly<Record<string, string>>;
  readonly #notation: CallNotation;
  #learned: { tools: boolean; history: boolean; system: boolean } | undefined;

  constructor(
    template: ChatTemplate | undefined,
    specialTokens: Readonly<Record<string, string>>,
    notation: CallNotation = NOTATIONS.hermes,
  ) {
    this.#template = template;
    this.#specialTokens = specialTokens;
    this.#notation = notation;
  }

  /** Whether the template shows tools itself. */
  get isNative(): boolean {
    return this.#shows().tools;
  }

  /** @param mayCall whether tools are to be explained if the template does not show them */
  told(messages: readonly ChatMessage[], tools: readonly unknown[] = [], mayCall = false): Told {
    if (this.#template === undefined) return { messages };
    const hasHistory = messages.some(({ role, tool_calls }) => role === 'tool' || tool_calls !== undefined);
    if (tools.length === 0 && !hasHistory) return { messages };
    const shows = this.#shows();
    // Where nothing may be called, a template that leaves calls out is obeyed, as transformers does.
    const seen = hasHistory && mayCall && !shows.history ? this.#historyAsText(messages) : messages;
    if (tools.length === 0 || shows.tools) return { messages: seen, tools };
    if (!mayCall) return { messages: seen };
    return { messages: withInstructions(seen, toolInstructions(tools, this.#notation), shows.system) };
  }

  #historyAsText(messages: readonly ChatMessage[]): ChatMessage[] {
    const shown: ChatMessage[] = [];
    let before: ChatMessage['role'] | undefined;
    for (const message of messages) {
      const last = shown.at(-1);
      if (message.role === 'tool') {
        const text = resultAsText(message.content);
        if (before === 'tool' && last !== undefined) last.content = `${last.content}\n${text}`;
        else shown.push({ role: 'user', content: text });
      } else if (message.tool_calls === undefined) shown.push(message);
      else {
        const { tool_calls: calls, content, ...rest } = message;
        const text = callsAsText(
          content,
          calls.map((call) => call.function),
          this.#notation,
        );
        shown.push({ ...rest, content: text });
      }
      before = message.role;
    }
    return shown;
  }

  #shows(): { tools: boolean; history: boolean; system: boolean } {
    this.#learned ??= {
      tools: this.#shown([QUESTION], [TOOL]),
      history: this.#showsHistory(),
      system: this.#shown([{ role: 'system', content: NEEDLE }, QUESTION], null),
    };
    return this.#learned;
  }

  #showsHistory(): boolean {
    if (this.#template === undefined) return false;
    const { isShown, ...form } = learnToolCallForm(this.#template, this.#specialTokens);
    const call = { id: 'call00000', type: 'function' as const, function: { name: 'f', arguments: '{"q":"q"}' } };
    const messages: ChatMessage[] = [
      QUESTION,
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', content: NEEDLE, tool_call_id: 'call00000', name: 'f' },
    ];
    const shown = messages.map((message) => inForm(message, form));
    return isShown && this.#shown(shown, null);
  }

  /** Whether the needle in these messages or tools comes out. */
  #shown(messages: readonly object[], tools: readonly unknown[] | null): boolean {
    try {
      const rendered = this.#template?.render({
        ...this.#specialTokens,
        messages: messages as readonly { role: string }[],
        tools,
        documents: null,
        add_generation_prompt: true,
      });
      return rendered?.includes(NEEDLE) ?? false;
    } catch {
      return false;
    }
  }
}

function withInstructions(
  messages: readonly ChatMessage[],
  instructions: string,
  takesSystem: boolean,
): readonly ChatMessage[] {
  const [first] = messages;
  if (takesSystem && first?.role !== 'system') return [{ role: 'system', content: instructions }, ...messages];
  const role = takesSystem ? 'system' : 'user';
  const at = messages.findIndex((message) => message.role === role);
  return messages.map((message, index) =>
    index === at ? { ...message, content: joined(role, message.content ?? '', instructions) } : message,
  );
}

/** A question stays at the end. */
function joined(role: 'system' | 'user', content: string, instructions: string): string {
  const parts = role === 'system' ? [content, instructions] : [instructions, content];
  return parts.filter((part) => part !== '').join('\n\n');
}
