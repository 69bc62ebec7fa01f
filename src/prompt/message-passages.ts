/** Passages inside messages that become blocks of their own, like documents. The caller has found and cut them. */
import type { ChatMessage } from './chat-messages.js';
import type { DocumentSegment } from './document-blocks.js';

/** A half-open span of UTF-16 offsets in a message's content. */
export interface MessagePassage {
  /** Index of the message. */
  message: number;
  start: number;
  end: number;
  /** Spans that cover the passage; offsets begin at its start. */
  segments: readonly DocumentSegment[];
}

/** The content with `markOf(index)` in the place of each passage and the text between them changed by `disarm`. */
export function withMarkedPassages(
  content: string,
  message: number,
  passages: readonly MessagePassage[],
  { markOf, disarm }: { markOf: (index: number) => string; disarm: (text: string) => string },
): string {
  let marked = '';
  let reached = 0;
  for (const [index, { message: owner, start, end }] of passages.entries()) {
    if (owner !== message) continue;
    marked += disarm(content.slice(reached, start)) + markOf(index);
    reached = end;
  }
  return marked + disarm(content.slice(reached));
}

/** The passages where their messages stand in another list. Those of messages that were reworded are left out. */
export function movedPassages(
  passages: readonly MessagePassage[],
  from: readonly ChatMessage[],
  to: readonly ChatMessage[],
): MessagePassage[] {
  return passages.flatMap((passage) => {
    const message = to.indexOf(from[passage.message] as ChatMessage);
    return message < 0 ? [] : [{ ...passage, message }];
  });
}

/** What of a message stands in none of its passages: the instruction and the question. */
export function outsidePassages(content: string, message: number, passages: readonly MessagePassage[]): string {
  const own = passages.filter((passage) => passage.message === message);
  const starts = [...own.map(({ start }) => start), content.length];
  return starts.map((start, at) => content.slice(own[at - 1]?.end ?? 0, start)).join(' ');
}
