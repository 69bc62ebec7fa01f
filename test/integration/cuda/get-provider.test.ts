import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { PROVIDER_LIBRARIES } from '../../../src/kernels/load-cuda.js';

const ROOT = join(import.meta.dirname, '../../..');
const SCRIPT = join(ROOT, 'kernels/cuda/get-provider.mjs');
const directory = mkdtempSync(join(tmpdir(), 'blockstitch-provider-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function run(...argv: string[]) {
  return runIn(SCRIPT, argv);
}

/** Temporary files go to a folder of its own, so that a test sees what is left there. */
function runIn(script: string, argv: string[], settings: NodeJS.ProcessEnv = {}) {
  const scratch = mkdtempSync(join(directory, 'tmp-'));
  const env = { ...process.env, TMPDIR: scratch, ...settings };
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...argv], { encoding: 'utf8', env });
  expect(readdirSync(scratch)).toEqual([]);
  return { status, output: stdout + stderr };
}

/** Of an install script: how it puts a file where the real one does. */
const WRITE = `const write = (name, text) =>
  require('node:fs').writeFileSync(require('node:path').join(__dirname, '../bin/napi-v6/linux/x64', name), text);`;

/** A project with the script and an onnxruntime-node without provider whose install script is `install`. */
function project(name: string, install?: string) {
  const root = join(directory, name);
  const modules = join(root, 'node_modules');
  const own = join(modules, 'onnxruntime-node');
  const real = join(ROOT, 'node_modules/onnxruntime-node');
  const bin = join(own, 'bin/napi-v6/linux/x64');
  mkdirSync(bin, { recursive: true });
  copyFileSync(join(real, 'package.json'), join(own, 'package.json'));
  cpSync(join(real, 'script'), join(own, 'script'), { recursive: true });
  if (install !== undefined) writeFileSync(join(own, 'script/install.js'), install);
  for (const used of ['adm-zip', 'global-agent']) symlinkSync(join(ROOT, 'node_modules', used), join(modules, used));
  mkdirSync(join(root, 'kernels/cuda'), { recursive: true });
  const script = join(root, 'kernels/cuda/get-provider.mjs');
  copyFileSync(SCRIPT, script);
  return { root, bin, script };
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

  test("fetches by onnxruntime-node's install script, with any settings of npm and the user", () => {
    const { root, bin, script } = project(
      'fetching',
      `${WRITE}
       const set = Object.keys(process.env).filter((name) => /^npm_package_json$|onnxruntime_node_install/i.test(name));
       for (const name of ${JSON.stringify(PROVIDER_LIBRARIES)}) write(name, [...process.argv.slice(2), ...set].join(' '));`,
    );
    const into = join(directory, 'fetched');
    mkdirSync(into);
    const settings = {
      npm_config_local_prefix: root,
      npm_package_json: join(root, 'package.json'),
      ONNXRUNTIME_NODE_INSTALL: 'skip',
      npm_config_onnxruntime_node_install: 'skip',
    };
    expect(runIn(script, ['--into', into], settings).status).toBe(0);
    for (const folder of [bin, into])
      for (const name of PROVIDER_LIBRARIES)
        expect(readFileSync(join(folder, name), 'utf8')).toBe('--onnxruntime-node-install=cuda12');
    expect(runIn(script, []).output).toContain('already there');
  });

  test('without a network says so with exit code 1, and how to do without one', () => {
    const { root, bin, script } = project('offline');
    const result = runIn(script, [], {
      // A proxy that refuses every connection, and what `npm run` sets, with which the install script does nothing.
      GLOBAL_AGENT_HTTPS_PROXY: 'http://127.0.0.1:9',
      npm_config_local_prefix: root,
      npm_package_json: join(root, 'package.json'),
    });
    expect(result).toMatchObject({ status: 1, output: expect.stringContaining('ECONNREFUSED') });
    expect(result.output).toMatch(/did not fetch .*shared.so and .*cuda.so \(exit code 1\)\n.*--from DIR\|FILE/);
    expect(readdirSync(bin)).toEqual([]);
  });

  test('does not trust the install script: a missing or half written library is an error', () => {
    const [shared, cuda] = PROVIDER_LIBRARIES;
    const silent = project('silent', '');
    expect(runIn(silent.script, [])).toMatchObject({ status: 1, output: expect.stringContaining('(exit code 0)') });
    const broken = project('broken', `${WRITE} write('${cuda}', 'half'); process.exit(3);`);
    expect(runIn(broken.script, [])).toMatchObject({
      status: 1,
      output: expect.stringContaining(`did not fetch ${shared} (exit code 3)`),
    });
    expect(readdirSync(broken.bin)).toEqual([]);
  });
});
