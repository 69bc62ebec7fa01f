/** The shipped segmenter's two networks: which of their log-odds count in talk, and which in any other text. */
import { join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { PACKAGE_DIR } from '../../../src/config.js';
import { loadRuntime } from '../../../src/onnx-runtime.js';
import { BoundaryModel } from '../../../src/segment/boundary-model.js';
import { splitUnits } from '../../../src/segment/text-units.js';
import { FEATURES, unitFeatures } from '../../../src/segment/unit-features.js';
import { WordVocabulary } from '../../../src/segment/word-vocabulary.js';

const MODEL_DIR = join(PACKAGE_DIR, 'models', 'segmenter');
const LEVELS = 5;
const CHAT = 'hey, do you have cats?\nno, i am a dog person, two of them\nthat is cool\nwhat are they called?\n'.repeat(
  8,
);
const PROSE =
  'The mason mends the roof.\nSlates are dear.\nThe choir sings at Easter.\nIts organ is out of tune.\n'.repeat(8);

let model: BoundaryModel;
let session: InferenceSession;

beforeAll(async () => {
  model = await BoundaryModel.open(MODEL_DIR);
  const runtime = await loadRuntime();
  session = await runtime.InferenceSession.create(join(MODEL_DIR, 'segmenter.onnx'), { logSeverityLevel: 3 });
});

/** What the file itself says of a text that is canonical already. */
async function outputsOf(text: string): Promise<Record<'levels' | 'talk_levels', Float32Array>> {
  const { Tensor } = await loadRuntime();
  const units = splitUnits(text);
  const { rows, offsets, values } = unitFeatures(text, units, WordVocabulary.read(join(MODEL_DIR, 'words.bin')));
  const outputs = await session.run({
    rows: new Tensor('int32', rows, [rows.length]),
    offsets: new Tensor('int32', offsets, [offsets.length]),
    features: new Tensor('float32', values, [units.length, FEATURES]),
  });
  return { levels: outputs.levels?.data as Float32Array, talk_levels: outputs.talk_levels?.data as Float32Array };
}

/** Log-odds of seams or of all else. */
const columns = (levels: Float32Array, seams: boolean) =>
  [...levels].filter((_, at) => (at % LEVELS === LEVELS - 1) === seams);

const near = (wanted: readonly number[]) => wanted.map((value) => expect.closeTo(value, 3));

describe('two networks over one word table', () => {
  it('leave talk to the one that was trained on it', async () => {
    const { levels, talk_levels: talk } = await outputsOf(CHAT);
    const [part, ...others] = await model.strengths(CHAT);
    expect(others).toEqual([]);
    expect([...(part?.levels ?? [])]).toEqual(near([...talk]));
    expect(columns(levels, false)).not.toEqual(near(columns(talk, false)));
  });

  it('both count in any other text, but for seams', async () => {
    const { levels, talk_levels: talk } = await outputsOf(PROSE);
    const [part, ...others] = await model.strengths(PROSE);
    expect(others).toEqual([]);
    expect([...(part?.levels ?? [])]).toEqual(near([...levels]));
    expect(columns(levels, false)).not.toEqual(near(columns(talk, false)));
    expect(columns(levels, true)).toEqual(near(columns(talk, true)));
  });
});
