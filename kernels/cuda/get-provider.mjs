#!/usr/bin/env node
/**
 * Puts ONNX Runtime's CUDA provider beside onnxruntime-node's own library, in the version that is installed:
 * `node kernels/cuda/get-provider.mjs [--from DIR|FILE.whl|FILE.nupkg] [--source package|pypi] [--into DIR] [--check]`.
 * Knows no download address. Without --from it runs the package's own install script, which npm does not run. With
 * --source pypi, pip fetches the same libraries in the Python package onnxruntime-gpu. Archives need `unzip`.
 * At the end it says which CUDA libraries the provider needs and which of them this machine lacks.
 * Exit code 1, with the reason, when the libraries are still missing.
 */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const LIBRARIES = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'];

const require = createRequire(import.meta.url);
const packageJson = require.resolve('onnxruntime-node/package.json');
const { version } = JSON.parse(readFileSync(packageJson, 'utf8'));
const ownFolder = join(dirname(packageJson), 'bin', 'napi-v6', 'linux', 'x64');

const { values } = parseArgs({
  options: {
    from: { type: 'string' },
    source: { type: 'string', default: 'package' },
    into: { type: 'string', default: ownFolder },
    check: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const target = resolve(values.into);

if (values.help) {
  console.log(
    `usage: node kernels/cuda/get-provider.mjs [--from DIR|FILE] [--source package|pypi] [--into DIR] [--check]

  --from    a folder that has ${LIBRARIES.join(' and ')} somewhere in it,
            or a .nupkg or .whl of ONNX Runtime ${version} with CUDA
  --source  who downloads: package (onnxruntime-node's own install script) or pypi (pip: onnxruntime-gpu ${version})
  --into    folder of onnxruntime-node's libonnxruntime.so.1 (found by itself)
  --check   changes nothing; exit code 1 when a library is missing`,
  );
  process.exit(0);
}

if (process.platform !== 'linux' || process.arch !== 'x64')
  fail('the CUDA provider is published for Linux on x86-64 only');
if (values.check) {
  const missing = missingIn(target);
  if (missing.length > 0) fail(`missing in ${target}: ${missing.join(', ')}`);
  report();
} else if (values.from === undefined && missingIn(target).length === 0) {
  console.log(`already there: ${target}`);
  report();
} else {
  const scratch = mkdtempSync(join(tmpdir(), 'blockstitch-provider-'));
  process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
  const folder = locate(scratch);
  if (folder !== target) install(folder);
  report();
}

function missingIn(folder) {
  return LIBRARIES.filter((name) => !statSync(join(folder, name), { throwIfNoEntry: false })?.size);
}

/** @returns a folder with the libraries somewhere in it */
function locate(scratch) {
  if (values.from !== undefined) {
    const from = resolve(values.from);
    if (!existsSync(from)) fail(`${from} does not exist`);
    return statSync(from).isDirectory() ? from : unpack(from, scratch);
  }
  if (values.source === 'package') return runInstallScript();
  if (values.source === 'pypi') {
    console.log(`downloading onnxruntime-gpu ${version} with pip (about 250 MB)`);
    // The wheel of any Python version will do: only the provider is taken from it, and that is not a Python module.
    const pip = ['-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '--quiet', '--disable-pip-version-check'];
    for (const python of ['311', '312', '313']) {
      const result = spawnSync(
        'python3',
        [...pip, '--python-version', python, '--dest', scratch, `onnxruntime-gpu==${version}`],
        {
          stdio: ['ignore', 'ignore', 'pipe'],
          encoding: 'utf8',
        },
      );
      if (result.error) fail(`python3 cannot be run (${result.error.code})`);
      const wheel = readdirSync(scratch).find((name) => name.endsWith('.whl'));
      if (result.status === 0 && wheel) return unpack(join(scratch, wheel), scratch);
    }
    fail(`pip found no onnxruntime-gpu ${version}`);
  }
  return fail(`--source is package or pypi, not ${values.source}`);
}

/** @returns onnxruntime-node's own folder, the only one that the script writes to */
function runInstallScript() {
  const wanted = missingIn(ownFolder);
  if (wanted.length === 0) return ownFolder;
  console.log(`onnxruntime-node ${version} fetches its CUDA provider (about 250 MB)`);
  const script = join(dirname(packageJson), 'script', 'install.js');
  // Under `npm run`, or with settings of its own, the script would do nothing and exit with 0.
  const ignored = ['npm_package_json', 'npm_config_onnxruntime_node_install', 'ONNXRUNTIME_NODE_INSTALL'];
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !ignored.includes(name)));
  const { status } = spawnSync(process.execPath, [script, '--onnxruntime-node-install=cuda12'], {
    stdio: 'inherit',
    env,
  });
  const missing = missingIn(ownFolder);
  if (status !== 0 || missing.length > 0) {
    // A file that is half written must not pass for a library the next time.
    for (const name of wanted) rmSync(join(ownFolder, name), { force: true });
    fail(
      `onnxruntime-node's install script did not fetch ${missing.join(' and ') || 'everything'} (exit code ${status})\n` +
        'Where only PyPI is reached: --source pypi. Where nothing is: --from DIR|FILE, fetched elsewhere',
    );
  }
  return ownFolder;
}

function unpack(archive, scratch) {
  const patterns = LIBRARIES.map((name) => `*${name}`);
  const result = spawnSync('unzip', ['-q', '-o', '-j', archive, ...patterns, '-d', scratch], { encoding: 'utf8' });
  if (result.error) fail('unzip is needed to open the archive: apt-get install unzip');
  if (result.status !== 0) fail(`${archive} holds no CUDA provider: ${result.stderr.trim() || result.stdout.trim()}`);
  return scratch;
}

function install(folder) {
  const files = readdirSync(folder, { recursive: true }).map(String);
  for (const name of LIBRARIES) {
    const found = files.find((file) => file === name || file.endsWith(`/${name}`));
    if (found === undefined) fail(`${folder} has no ${name}`);
    // Copied beside and renamed: a process that has the old one open keeps it.
    const partial = join(target, `${name}.partial`);
    copyFileSync(join(folder, found), partial);
    renameSync(partial, join(target, name));
    console.log(`${join(target, name)}`);
  }
}

/** Which libraries the provider needs, as the dynamic linker says. */
function report() {
  const { stdout = '' } = spawnSync('ldd', [join(target, 'libonnxruntime_providers_cuda.so')], { encoding: 'utf8' });
  const missing = stdout
    .split('\n')
    .filter((line) => line.includes('not found'))
    .map((line) => line.trim().split(' ')[0]);
  if (missing.length === 0) console.log('every library that the provider needs is on this machine');
  else {
    console.log(`the provider needs libraries that this machine lacks: ${missing.join(', ')}`);
    console.log(
      'They are part of the CUDA toolkit and cuDNN; libcuda.so.1 comes with the NVIDIA driver (docs/cuda.md).',
    );
  }
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
