import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { PROVIDER_LIBRARIES } from '../../../src/kernels/load-cuda.js';

const SCRIPT = join(import.meta.dirname, '../../../kernels/cuda/get-provider.mjs');
const directory = mkdtempSync(join(tmpdir(), 'blockstitch-provider-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function run(...argv: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, ...argv], { encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

describe('get-provider', () => {
  test('takes the provider from a folder that has it, and finds it there afterwards', () => {
    const into = join(directory, 'into');
    const nested = join(directory, 'from', 'capi');
    mkdirSync(into);
    mkdirSync(nested, { recursive: true });
    expect(run('--check', '--into', into)).toMatchObject({ status: 1, output: expect.stringContaining('missing in') });
    for (const name of PROVIDER_LIBRARIES) writeFileSync(join(nested, name), `the ${name}`);
    expect(run('--from', join(directory, 'from'), '--into', into).status).toBe(0);
    expect(readdirSync(into).toSorted()).toEqual([...PROVIDER_LIBRARIES].toSorted());
    expect(readFileSync(join(into, PROVIDER_LIBRARIES[0]), 'utf8')).toBe(`the ${PROVIDER_LIBRARIES[0]}`);
    expect(run('--check', '--into', into).status).toBe(0);
  });

  test('says what is wrong with a folder or a file that has no provider', () => {
    expect(run('--from', join(directory, 'nowhere'), '--into', directory)).toMatchObject({
      status: 1,
      output: expect.stringContaining('does not exist'),
    });
    const empty = join(directory, 'empty');
    mkdirSync(empty);
    expect(run('--from', empty, '--into', directory).output).toContain(`has no ${PROVIDER_LIBRARIES[0]}`);
    const archive = join(directory, 'some.whl');
    writeFileSync(archive, 'no archive');
    expect(run('--from', archive, '--into', directory).status).toBe(1);
    expect(run('--source', 'elsewhere', '--into', directory)).toMatchObject({
      status: 1,
      output: expect.stringContaining('--source is package or pypi'),
    });
  });
});
