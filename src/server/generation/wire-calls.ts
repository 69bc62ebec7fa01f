/** Calls as OpenAI words them, whole and in a stream. Knows shapes; `choice-stream.ts` says what was called. */
import { randomBytes } from 'node:crypto';
import type { CallNotation } from '../../tools/call-notation.js';
import type { CallPart } from './choice-stream.js';

/** Mistral's templates take ids of nine letters and digits and no others. */
export function callId({ name }: CallNotation): string {
  const hex = randomBytes(12).toString('hex');
  return name === 'mistral' ? hex.slice(0, 9) : `call_${hex}`;
}

export function wireCall(call: { name: string; arguments: string }, notation: CallNotation) {
  return { id: callId(notation), type: 'function' as const, function: call };
}

/** The first piece of a call has its id, its type and its name. */
export function callDelta(part: CallPart, notation: CallNotation) {
  const { index } = part;
  if (part.type === 'arguments') return { index, function: { arguments: part.text } };
  return { index, ...wireCall({ name: part.name, arguments: '' }, notation) };
}
