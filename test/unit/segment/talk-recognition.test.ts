/** What counts as talk, and as a meeting: by names before lines or by lines as of a chat, in any language; nothing else. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PACKAGE_DIR } from '../../../src/config.js';
import { speakerLabels } from '../../../src/segment/speaker-labels.js';
import { isMeeting, isTalk } from '../../../src/segment/talk-recognition.js';
import { splitUnits } from '../../../src/segment/text-units.js';

function partOf(text: string) {
  const units = splitUnits(text);
  return { text, units, labels: speakerLabels(text, units) };
}

const MEETING = 'Anna: The roof leaks.\nBen: Slates cost too much.\nCarla: A mason mends it.\n';
const CHAT = 'hey, do you have cats?\nno, i am a dog person, two of them\nthat is cool\nwhat are they called?\n';

describe('a meeting', () => {
  it('has three speakers and more, and names them in most lines', () => {
    expect(isMeeting(partOf(MEETING.repeat(20)))).toBe(true);
    expect(isMeeting(partOf('Anna: Hello.\nBen: Hi.\n'.repeat(20)))).toBe(false);
    expect(isMeeting(partOf(`${MEETING}${'It was said in prose, without a name.\n'.repeat(60)}`))).toBe(false);
    expect(isMeeting(partOf(CHAT.repeat(20)))).toBe(false);
    expect(isMeeting(partOf(''))).toBe(false);
  });
});

describe('talk', () => {
  it('names its speakers, one or many', () => {
    expect(isTalk(partOf(MEETING.repeat(20)))).toBe(true);
    expect(isTalk(partOf('Anna: Hello.\nBen: Hi.\n'.repeat(20)))).toBe(true);
  });

  it('or has the short lines of a chat, some of which ask, in any script', () => {
    expect(isTalk(partOf(CHAT))).toBe(true);
    expect(isTalk(partOf('你好，你喜欢猫吗？\n喜欢，我有两只\n真好\n它们叫什么？\n'))).toBe(true);
    expect(isTalk(partOf('هل تحب القطط؟\nنعم، عندي اثنتان\nجميل\nما اسمهما؟\n'))).toBe(true);
  });

  it('is told by the first lines: what is added behind them changes nothing', () => {
    const chat = CHAT.repeat(128);
    expect(isTalk(partOf(`${chat}${'It was said in prose, without any question.\n'.repeat(4000)}`))).toBe(true);
  });

  it('is no text that seldom asks, has long lines or stands in paragraphs', () => {
    for (const text of [
      '',
      'Do you have cats?\n',
      'The roof leaks.\nSlates cost too much.\nA mason mends it.\nIt is dry.\n'.repeat(10),
      `${'Long lines tell of one thing after another, as an article does. '.repeat(4)}Why?\n`.repeat(10),
      'What does it cost?\n\nTen a month.\n\nMay I cancel?\n\nYes.\n\n'.repeat(10),
      'const open = ready ? 1 : 2;\nif (open) {\n  close(open);\n}\n'.repeat(10),
    ]) {
      expect(isTalk(partOf(text)), text.slice(0, 40)).toBe(false);
    }
  });

  it('is none of the project’s own pages and sources', () => {
    for (const folder of ['docs', 'src/segment']) {
      for (const name of readdirSync(join(PACKAGE_DIR, folder)).filter((each) => /\.(md|ts)$/.test(each))) {
        expect(isTalk(partOf(readFileSync(join(PACKAGE_DIR, folder, name), 'utf8'))), name).toBe(false);
      }
    }
  });
});
