/**
 * For training: reads JSONL rows {text, boundaries: [offset], levels: [1..4]} from stdin and writes what the segmenter
 * sees of them to stdout, so that training and serving cannot differ. Also counts words for the vocabulary.
 *
 *   node dist/src/segment/write-features.js features VOCABULARY < rows.jsonl > features.bin
 *   node dist/src/segment/write-features.js talk VOCABULARY < rows.jsonl > features.bin       # those of talk-features.ts
 *   node dist/src/segment/write-features.js words < rows.jsonl > words.tsv
 *
 * A record (int32 little-endian): units U | words W | features F | boundaries that fall inside a unit |
 * offsets [U + 1] | rows [W] | labels [U] (0 none, else the level) | starts [U] | float32 values [U, F].
 */
import { once } from 'node:events';
import { linesOf } from '../text/lines.js';
import { canonicalText } from './canonical-text.js';
import { TALK_FEATURES, talkFeatures } from './talk-features.js';
import { splitUnits } from './text-units.js';
import { hashOf, visitWords } from './text-words.js';
import { FEATURES, unitFeatures } from './unit-features.js';
import { WordVocabulary } from './word-vocabulary.js';

interface Row {
  text: string;
  boundaries?: number[];
  levels?: number[];
}

function record(row: Row, vocabulary: WordVocabulary, ofTalk: boolean): Buffer {
  const canonical = canonicalText(row.text);
  const { text } = canonical;
  const units = splitUnits(text);
  const features = unitFeatures(text, units, vocabulary);
  const { rows, offsets } = features;
  const values = ofTalk ? talkFeatures({ ...features, text, units }) : features.values;
  const labels = new Int32Array(units.length);
  const atEnd = new Map(units.map((unit, index) => [canonical.originalOf(unit.end), index]));
  let inside = 0;
  for (const [index, boundary] of (row.boundaries ?? []).entries()) {
    const unit = atEnd.get(boundary);
    if (unit === undefined) inside += 1;
    else labels[unit] = row.levels?.[index] ?? 1;
  }
  const header = Int32Array.of(units.length, rows.length, ofTalk ? TALK_FEATURES : FEATURES, inside);
  const starts = Int32Array.from(units, (unit) => canonical.originalOf(unit.start));
  return Buffer.concat(
    [header, offsets, rows, labels, starts, values].map((part) =>
      Buffer.from(part.buffer, part.byteOffset, part.byteLength),
    ),
  );
}

async function writeFeatures(path: string, ofTalk: boolean): Promise<void> {
  const vocabulary = WordVocabulary.read(path);
  for await (const line of linesOf(process.stdin)) {
    if (!process.stdout.write(record(JSON.parse(line) as Row, vocabulary, ofTalk))) await once(process.stdout, 'drain');
  }
}

/** Lines "word <tab> hash <tab> units that hold it", for words of one character and more. */
async function countWords(): Promise<void> {
  const counts = new Map<number, { word: string; units: number; last: number }>();
  let number = 0;
  for await (const line of linesOf(process.stdin)) {
    const { text } = canonicalText((JSON.parse(line) as Row).text);
    for (const unit of splitUnits(text)) {
      number += 1;
      const seen = number;
      visitWords(text, unit.contentStart, unit.contentEnd, 512, (word) => {
        const known = counts.get(word.shape);
        if (!known) {
          counts.set(word.shape, { word: text.slice(word.start, word.end), units: 1, last: seen });
        } else if (known.last !== seen) {
          known.last = seen;
          known.units += 1;
        }
      });
    }
  }
  process.stdout.write(`#units\t${number}\n`);
  for (const [hash, { word, units }] of counts) {
    if (!process.stdout.write(`${word.toLowerCase()}\t${hash}\t${units}\n`)) await once(process.stdout, 'drain');
  }
}

/** Words given one a line: "word <tab> hash" for those that are one word, to look up rows in training. */
async function hashWords(): Promise<void> {
  for await (const line of linesOf(process.stdin)) {
    if (visitWords(line, 0, line.length, 3, () => undefined) !== 1) continue;
    if (!process.stdout.write(`${line}\t${hashOf(line)}\n`)) await once(process.stdout, 'drain');
  }
}

const [what, path = ''] = process.argv.slice(2);
if (what === 'features' || what === 'talk') await writeFeatures(path, what === 'talk');
else if (what === 'words') await countWords();
else if (what === 'hash') await hashWords();
else {
  console.error('usage: write-features features VOCABULARY | talk VOCABULARY | words | hash');
  process.exitCode = 2;
}
