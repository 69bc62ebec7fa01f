/**
 * Transcripts and chats in the notations of common programs: WebVTT, SRT, Zoom, Teams, chat exports (WhatsApp, Slack,
 * Telegram), IRC. Gives the edits that leave "Name: what is said" on one line, so that equal talk looks equal.
 * Each edit looks at a few lines around. It knows the marks of these notations and nothing of topics.
 */
import type { TextEdit } from './text-edits.js';

const TIME = '(?:\\d{1,2}:)?\\d{1,2}:\\d{2}(?:[.,]\\d{1,3})?(?:\\s?[AaPp]\\.?[Mm]\\.?)?';
const DATE = '\\d{1,4}[./-]\\d{1,2}(?:[./-]\\d{1,4})?,?(?:\\s+(?:at\\s+)?|T)';
const NAME = "[\\p{L}\\p{N}+~@_][\\p{L}\\p{N} .'’_()+@|^`{}-]{0,38}?";
/** Up to four words that begin with capitals. */
const PROPER_NAME = "\\p{Lu}[\\p{L}\\p{N}.'’-]*(?: \\(?[\\p{Lu}\\p{N}][\\p{L}\\p{N}.'’-]*\\)?){0,3}";

const QUICK = new RegExp(`${TIME}|-->|<v[ .]|^<[ @+%&~]?[^<>\\s]{1,32}> `, 'mu');
const CUE = /^\s*[\d:.,]{3,16}\s*-->\s*[\d:.,]{3,16}/;
const CUE_NUMBER = /^\s*(?:\d{1,6}|[\w-]{8,}\/\d+-\d+)\s*$/;
const VOICE = /^<v(?:\.[^ >]*)?\s+([^>]{1,40})>/u;
const CLOCK = new RegExp(`^[\\[(]?(?:${DATE})?${TIME}(?:[Z+-]\\S{0,6})?[\\])]?\\s*(?:[-–—|]\\s+)?`, 'u');
const NICK = /^<[ @+%&~]?([^<>\s][^<>\n]{0,31})>(?=\s)/u;
const LABEL = new RegExp(`^(${NAME})\\s?[:：](?=\\s|$)`, 'u');
/** Zoom's chat: "From Ann to Everyone:". */
const FROM = new RegExp(`^From\\s+(${NAME})\\s+to\\s+[^:\\n]{1,60}?\\s?:\\s*`, 'iu');
/** Headers on a line of their own. */
const NAME_CLOCK = new RegExp(
  `^(?:\\[(${NAME})\\]|(${PROPER_NAME})|(${NAME})(?:\\s{2,}|\\t|\\s+[-–—|·]))\\s*[\\[(]?(?:${DATE}|(?:[Tt]oday|[Yy]esterday) at )?(?<!\\d)${TIME}[\\])]?\\s*$`,
  'u',
);
const CLOCK_NAME = new RegExp(`^[\\[(](?:${DATE})?${TIME}[\\])]\\s*(${PROPER_NAME})\\s*$`, 'u');
const ONLY_NAME = new RegExp(`^\\s*(${PROPER_NAME})\\s*$`, 'u');
const ONLY_CLOCK = new RegExp(`^\\s*[\\[(]?(?:${DATE})?${TIME}[\\])]?\\s*$`, 'u');
const ENDS_SENTENCE = /[.!?…。！？][\])}"'’”]*\s*$/;
const LONGEST_HEAD = 120;

interface Line {
  start: number;
  /** Without the line break. */
  end: number;
  text: string;
}

/** @returns edits in order; none for a text without the marks of a transcript. `text` has \n for line ends. */
export function transcriptEdits(text: string): TextEdit[] {
  return QUICK.test(text) ? new TranscriptReader(text).edits() : [];
}

class TranscriptReader {
  readonly #text: string;
  readonly #lines: Line[] = [];
  readonly #edits: TextEdit[] = [];
  /** Where the last cue's said text ends, while the next cue may go on with it. */
  #saidEnd = -1;
  #speaker = '';

  constructor(text: string) {
    this.#text = text;
    for (let start = 0; start < text.length; ) {
      const at = text.indexOf('\n', start);
      const end = at < 0 ? text.length : at;
      this.#lines.push({ start, end, text: end - start > 4096 ? '' : text.slice(start, end) });
      start = end + 1;
    }
  }

  edits(): TextEdit[] {
    let at = 0;
    if (/^\s*WEBVTT/.test(this.#lines[0]?.text ?? '')) at = this.#skipHead();
    while (at < this.#lines.length) at = this.#readCue(at) ?? this.#readLine(at);
    return this.#edits;
  }

  /** Takes out the head of WebVTT, up to its first empty line. */
  #skipHead(): number {
    let at = 0;
    while (at < this.#lines.length && !isEmpty(this.#lines[at])) at += 1;
    while (isEmpty(this.#lines[at])) at += 1;
    this.#edit(0, this.#startOf(at), '');
    return at;
  }

  /** A cue: its number, its times, what is said in it, and the empty lines behind. @returns the line behind, if it is one */
  #readCue(at: number): number | undefined {
    const numbered = CUE_NUMBER.test(this.#lines[at]?.text ?? '') ? 1 : 0;
    if (!CUE.test(this.#lines[at + numbered]?.text ?? '')) return undefined;
    let first = at + numbered + 1;
    let stop = first;
    while (stop < this.#lines.length && !isEmpty(this.#lines[stop]) && !this.#opensCue(stop)) stop += 1;
    let behind = stop;
    while (isEmpty(this.#lines[behind])) behind += 1;
    const head = this.#startOf(at);
    if (first === stop) {
      this.#edit(head, this.#startOf(behind), '', behind >= this.#lines.length);
      return behind;
    }
    let line = this.#lines[first] as Line;
    let speaker = '';
    let said = line.start;
    const named = ONLY_NAME.exec(line.text);
    const voice = VOICE.exec(line.text);
    const label = LABEL.exec(line.text);
    if (voice) {
      speaker = (voice[1] as string).trim();
      said += voice[0].length;
    } else if (label) {
      speaker = (label[1] as string).trim();
      said += label[0].length;
    } else if (named && stop - first > 1) {
      speaker = (named[1] as string).trim();
      first += 1;
      line = this.#lines[first] as Line;
      said = line.start;
    }
    while (said < line.end && this.#text[said] === ' ') said += 1;
    const last = this.#lines[stop - 1] as Line;
    const goesOn =
      this.#saidEnd >= 0 &&
      (speaker === '' || speaker === this.#speaker) &&
      !/^[-–—]/.test(this.#text.slice(said, said + 1)) &&
      !ENDS_SENTENCE.test(this.#text.slice(Math.max(0, this.#saidEnd - 8), this.#saidEnd));
    if (goesOn) this.#joinAt(this.#saidEnd, said);
    else this.#edit(head, said, speaker === '' ? '' : `${speaker}: `);
    for (let inner = first; inner + 1 < stop; inner += 1) {
      const next = this.#lines[inner + 1] as Line;
      if (!/^\s*[-–—]\s/.test(next.text) && !LABEL.test(next.text))
        this.#edit((this.#lines[inner] as Line).end, next.start, ' ');
    }
    const closing = /\s*<\/v>\s*$/.exec(last.text);
    const saidEnd = closing ? last.start + closing.index : last.end;
    if (closing) this.#edit(saidEnd, last.end, '');
    // The line break stays; the empty lines behind it belong to the cue.
    if (behind > stop) this.#edit(this.#startOf(stop), this.#startOf(behind), '', true);
    this.#saidEnd = behind < this.#lines.length ? saidEnd : -1;
    if (speaker !== '') this.#speaker = speaker;
    return behind;
  }

  /** Replaces all between the end of a cue's text and the next cue's text by a space. */
  #joinAt(from: number, to: number): void {
    while ((this.#edits.at(-1)?.start ?? -1) >= from) this.#edits.pop();
    this.#edit(from, to, ' ');
  }

  #opensCue(at: number): boolean {
    const numbered = CUE_NUMBER.test(this.#lines[at]?.text ?? '') ? 1 : 0;
    return CUE.test(this.#lines[at + numbered]?.text ?? '');
  }

  /** A line of a chat, or of anything else. @returns the line behind */
  #readLine(at: number): number {
    this.#saidEnd = -1;
    const line = this.#lines[at] as Line;
    const head = line.text.slice(0, LONGEST_HEAD);
    const clock = CLOCK.exec(head)?.[0] ?? '';
    const rest = head.slice(clock.length);
    const from = clock ? FROM.exec(rest) : null;
    if (from) {
      let said = line.start + clock.length + from[0].length;
      // Newer versions put the words on the next line.
      if (said >= line.end && !isEmpty(this.#lines[at + 1])) said = this.#startOf(at + 1);
      while (this.#text[said] === '\t' || this.#text[said] === ' ') said += 1;
      this.#edit(line.start, said, `${(from[1] as string).trim()}: `);
      return said > line.end ? at + 2 : at + 1;
    }
    const nick = NICK.exec(rest);
    if (nick) {
      const start = line.start + clock.length;
      this.#edit(line.start, start + nick[0].length, `${(nick[1] as string).trim()}:`);
    } else if (clock && LABEL.test(rest)) this.#edit(line.start, line.start + clock.length, '');
    else return this.#readHead(at, head);
    return at + 1;
  }

  /** A name and a time alone on one line or on two, and what is said below. @returns the line behind what was read */
  #readHead(at: number, head: string): number {
    // Both kinds of header end in a time or in a name.
    if (!/[\p{L}\d)\]]\s*$/u.test(head)) return at + 1;
    const alone = NAME_CLOCK.exec(head) ?? CLOCK_NAME.exec(head);
    const named = alone ? null : ONLY_CLOCK.test(this.#lines[at + 1]?.text ?? '') ? ONLY_NAME.exec(head) : null;
    const name = (alone?.[1] ?? alone?.[2] ?? alone?.[3] ?? named?.[1])?.trim();
    const said = at + (named ? 2 : 1);
    if (name === undefined || !this.#lines[said] || isEmpty(this.#lines[said])) return at + 1;
    // Empty lines between messages are part of the notation.
    let above = at;
    while (isEmpty(this.#lines[above - 1])) above -= 1;
    if (above > 0 && above < at) this.#edit(this.#startOf(above), this.#startOf(at), '', true);
    this.#edit(this.#startOf(at), this.#startOf(said), `${name}: `);
    return said + 1;
  }

  #startOf(at: number): number {
    return this.#lines[at]?.start ?? this.#text.length;
  }

  #edit(start: number, end: number, replacement: string, belongsBefore = false): void {
    if (end <= start && replacement === '') return;
    this.#edits.push({ start, end, replacement, ...(belongsBefore ? { belongsBefore } : {}) });
  }
}

function isEmpty(line: Line | undefined): boolean {
  return line !== undefined && line.text.trim() === '' && line.end - line.start <= 4096;
}
