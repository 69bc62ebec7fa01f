/** One talk in the notations of common programs. Each gives the text and where each turn begins in it. */

export interface TalkTurn {
  speaker: string;
  text: string;
}

export interface WrittenTalk {
  text: string;
  /** Offset at which what belongs to each turn begins. [turns] */
  starts: number[];
}

const two = (value: number) => String(value).padStart(2, '0');
const clock = (seconds: number) =>
  `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
const afternoon = (seconds: number) =>
  `${1 + Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)} ${seconds < 1800 ? 'AM' : 'PM'}`;

function written(head: string, turns: readonly TalkTurn[], turn: (each: TalkTurn, at: number) => string): WrittenTalk {
  let text = head;
  const starts = turns.map((each, at) => {
    // What stands at the head of a file belongs to its first turn.
    const start = at === 0 ? 0 : text.length;
    text += turn(each, at);
    return start;
  });
  return { text, starts };
}

export const NOTATIONS: Record<string, (turns: readonly TalkTurn[]) => WrittenTalk> = {
  'lines with names': (turns) => written('', turns, ({ speaker, text }) => `${speaker}: ${text}\n`),
  WebVTT: (turns) =>
    written('WEBVTT\nKind: captions\n\n', turns, ({ speaker, text }, at) => {
      const times = `${clock(7 * at)}.120 --> ${clock(7 * at + 6)}.480`;
      return `${at + 1}\n${times}\n<v ${speaker}>${text}</v>\n\n`;
    }),
  SRT: (turns) =>
    written('', turns, ({ speaker, text }, at) => {
      const middle = text.indexOf(' ', Math.floor(text.length / 2));
      const wrapped = middle > 0 ? `${text.slice(0, middle)}\n${text.slice(middle + 1)}` : text;
      return `${at + 1}\n${clock(7 * at)},120 --> ${clock(7 * at + 6)},480\n${speaker}: ${wrapped}\n\n`;
    }),
  Zoom: (turns) => written('', turns, ({ speaker, text }, at) => `[${speaker}] ${clock(7 * at)}\n${text}\n\n`),
  "Zoom's chat": (turns) =>
    written('', turns, ({ speaker, text }, at) => `${clock(7 * at)} From ${speaker} to Everyone:\n\t${text}\n`),
  Teams: (turns) =>
    written(
      '',
      turns,
      ({ speaker, text }, at) => `${speaker}   ${Math.floor(at / 6)}:${two((at * 9) % 60)}\n${text}\n\n`,
    ),
  WhatsApp: (turns) =>
    written('', turns, ({ speaker, text }, at) => `12/31/24, ${afternoon(30 * at)} - ${speaker}: ${text}\n`),
  Slack: (turns) => written('', turns, ({ speaker, text }, at) => `${speaker}  ${afternoon(30 * at)}\n${text}\n`),
  IRC: (turns) =>
    written('', turns, ({ speaker, text }, at) => `[${clock(9 * at).slice(0, 5)}] <${speaker}> ${text}\n`),
};
