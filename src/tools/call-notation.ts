/**
 * The door of this room: how models write calls of functions, and how such text is read.
 *
 *   call-notation.ts  the notations, and which of them a checkpoint uses
 *   call-parser.ts    finds calls in a stream of text
 *   tool-prompt.ts    tells a model of its tools if its chat template does not
 *
 * Words: tool = a function of the client's that the model may call; call = its name with arguments; notation = how a
 * model writes calls; marker = a text that begins or ends them, often one control token.
 * Pure: knows text, not tokens or HTTP.
 */
export const NOTATION_NAMES = ['hermes', 'llama3_json', 'mistral'] as const;
export type NotationName = (typeof NOTATION_NAMES)[number];

export interface CallNotation {
  name: NotationName;
  /** What may stand in front of the first call. A text that begins so is a call, or is given out as content. */
  marker: string;
  /** A call may also stand without the marker, where the answer begins. */
  bare: boolean;
  /** What stands around calls, behind the marker, in the model's own writing. The parser takes any white space. */
  opening: string;
  separator: string;
  closing: string;
  /** The name that a call's arguments have when the model is made to write them. The parser takes both. */
  argumentsKey: 'arguments' | 'parameters';
}

/** Names of a call's arguments, as models write them. */
export const ARGUMENT_KEYS: ReadonlySet<string> = new Set(['arguments', 'parameters']);

export const NOTATIONS: Readonly<Record<NotationName, CallNotation>> = {
  /** Hermes 2 Pro, Qwen 2.5 and 3: `<tool_call>\n{"name": ..., "arguments": ...}\n</tool_call>`, each call in its own. */
  hermes: {
    name: 'hermes',
    marker: '<tool_call>',
    bare: false,
    opening: '\n',
    separator: '\n</tool_call>\n<tool_call>\n',
    closing: '\n</tool_call>',
    argumentsKey: 'arguments',
  },
  /** Llama 3.1 to 3.3: the answer is `{"name": ..., "parameters": ...}`, at times behind `<|python_tag|>`. */
  llama3_json: {
    name: 'llama3_json',
    marker: '<|python_tag|>',
    bare: true,
    opening: '',
    separator: '; ',
    closing: '',
    argumentsKey: 'parameters',
  },
  /** Mistral 7B v0.3 to Mistral Small: `[TOOL_CALLS] [{"name": ..., "arguments": ...}, ...]`. */
  mistral: {
    name: 'mistral',
    marker: '[TOOL_CALLS]',
    bare: false,
    opening: ' [',
    separator: ', ',
    closing: ']',
    argumentsKey: 'arguments',
  },
};

export const HERMES_END = '</tool_call>';

/** Texts that may be control tokens and that a parser must see. */
export const MARKERS: ReadonlySet<string> = new Set([
  ...Object.values(NOTATIONS).map(({ marker }) => marker),
  HERMES_END,
]);

/**
 * The notation that a checkpoint's model was trained on: the one that its chat template shows; for a template that takes
 * tools and shows none of them, the one whose marker the vocabulary has. For a template that takes no tools `hermes`,
 * which the prompt explains.
 *
 * @param template the chat template's text
 * @param hasToken whether the vocabulary has a token of this text
 * @returns undefined if the template takes tools and the notation is none of these
 */
export function detectNotation(
  template: string | undefined,
  hasToken: (text: string) => boolean,
): NotationName | undefined {
  if (template === undefined || !takesTools(template)) return 'hermes';
  if (template.includes(NOTATIONS.mistral.marker)) return 'mistral';
  if (template.includes(NOTATIONS.hermes.marker)) return 'hermes';
  if (/\\?"parameters\\?": dictionary of argument|python_tag/.test(template)) return 'llama3_json';
  return NOTATION_NAMES.find((name) => hasToken(NOTATIONS[name].marker));
}

/** Whether a chat template has the variable `tools` at all. */
export function takesTools(template: string): boolean {
  return /\btools\b/.test(template);
}

/** A call as the notation writes it, without what stands around calls. @param json the arguments */
export function writtenCall({ argumentsKey }: CallNotation, name: string, json: string): string {
  return `{"name": ${JSON.stringify(name)}, "${argumentsKey}": ${json}}`;
}

/** Calls as a whole answer. */
export function writtenCalls(notation: CallNotation, calls: readonly { name: string; arguments: string }[]): string {
  const { marker, bare, opening, separator, closing } = notation;
  const written = calls.map((call) => writtenCall(notation, call.name, call.arguments)).join(separator);
  return `${bare ? '' : marker}${opening}${written}${closing}`;
}
