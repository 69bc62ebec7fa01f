/**
 * Tells a model of its tools if its chat template does not: the tools stand at the end of the system message, in the
 * words of Qwen 2.5's template, and the history's calls and results are written as text. Knows messages, not templates.
 */
import { type CallNotation, writtenCall, writtenCalls } from './call-notation.js';

interface PlainCall {
  name: string;
  /** JSON text. */
  arguments: string;
}

/** How a model that was not trained on tools is told of them. @param tools definitions in OpenAI's form */
export function toolInstructions(tools: readonly unknown[], notation: CallNotation): string {
  const example = writtenCall(notation, 'NAME', '{"PARAMETER": VALUE}').replace('"NAME"', 'NAME');
  const { marker, bare, opening, closing } = notation;
  return [
    '# Tools',
    '',
    'You may call one or more functions to assist with the user query.',
    '',
    'You are provided with function signatures within <tools></tools> XML tags:',
    '<tools>',
    ...tools.map((tool) => JSON.stringify(tool)),
    '</tools>',
    '',
    'For each function call, write a JSON object with the name of the function and its arguments:',
    `${bare ? '' : marker}${opening}${example}${closing}`,
  ].join('\n');
}

/** An assistant's message with calls, as text. */
export function callsAsText(content: string | null, calls: readonly PlainCall[], notation: CallNotation): string {
  const written = writtenCalls(notation, calls);
  return content === null || content === '' ? written : `${content}\n${written}`;
}

/** What a function gave, as part of a user's message. */
export function resultAsText(content: string | null): string {
  return `<tool_response>\n${content ?? ''}\n</tool_response>`;
}
