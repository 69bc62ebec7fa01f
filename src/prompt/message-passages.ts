/** Passages inside messages that become blocks of their own, like documents. The caller has found and cut them. */
import type { ChatMessage } from './chat-messages.js';
import type { DocumentSegment } from './document-blocks.js';
import { type DocumentFrame, EMPTY_FRAME } from './document-frame.js';

/** A half-open span of UTF-16 offsets in a message's content. */
export interface MessagePassage {
  /** Index of the message. */
  message: number;
  start: number;
  end: number;
  /** Spans that cover the passage; offsets begin at its start. */
  segments: readonly DocumentSegment[];
  /**
   * Present if an application retrieved the passage and put it into the message. It is then shown as an untitled document is, with
   * an empty line behind it, so both give the same blocks.
   */
  retrieved?: {
    /** UTF-16 units at the message's start that are its instruction. It is shown behind the message's last passage. */
    instruction: number;
  };
}

/** An empty line, as behind documents in a prompt whose template does not place them itself. */
const RETRIEVED_FRAME: DocumentFrame = { prefix: '', suffix: '\n\n' };

export function passageFrame({ retrieved }: MessagePassage): DocumentFrame {
  return retrieved ? RETRIEVED_FRAME : EMPTY_FRAME;
}

/**
 * The content with `markOf(index)` in the place of each passage and the text between them changed by `disarm`. The instruction in
 * front of retrieved passages follows them, so that the final block holds it.
 */
export function withMarkedPassages(
  content: string,
  message: number,
  passages: readonly MessagePassage[],
  { markOf, disarm }: { markOf: (index: number) => string; disarm: (text: string) => string },
): string {
  const own = [...passages.entries()].filter(([, passage]) => passage.message === message);
  const instruction = content.slice(0, own[0]?.[1].retrieved?.instruction ?? 0);
  let marked = '';
  let reached = instruction.length;
  let behindFrame = false;
  const until = (end?: number) => {
    const between = content.slice(reached, end);
    return behindFrame ? between.trimStart() : between;
  };
  for (const [index, { start, end, retrieved }] of own) {
    marked += disarm(until(start)) + markOf(index);
    reached = end;
    behindFrame = retrieved !== undefined;
  }
  return marked + disarm(instruction.trim() === '' ? until() : `${instruction.trimStart()}${until()}`);
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
