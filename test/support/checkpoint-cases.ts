/** A good tiny checkpoint, written once, and an empty directory for each test to put a spoiled one into. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { writeRandomCheckpoint } from '../../bench/random-checkpoint.js';

export class CheckpointCases {
  readonly root: string;
  readonly good: string;
  /** config.json of the good one. */
  config: Record<string, unknown> = {};
  /** The directory of the running test. */
  directory = '';
  #drawn = 0;

  /** Call at the head of a test file: it sets up and clears away. */
  constructor(name: string) {
    this.root = mkdtempSync(join(tmpdir(), `blockstitch-${name}-`));
    this.good = join(this.root, 'good');
    beforeAll(async () => {
      await writeRandomCheckpoint(this.good, 'tiny');
      this.config = JSON.parse(readFileSync(join(this.good, 'config.json'), 'utf8')) as Record<string, unknown>;
    });
    beforeEach(() => {
      this.directory = join(this.root, `case-${++this.#drawn}`);
      mkdirSync(this.directory);
    });
    afterAll(() => rmSync(this.root, { recursive: true, force: true }));
  }

  /** Copies files of the good checkpoint into the test's directory. */
  copy(...names: string[]): void {
    for (const name of names) copyFileSync(join(this.good, name), join(this.directory, name));
  }
}
