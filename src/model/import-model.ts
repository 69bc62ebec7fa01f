/**
 * Imports a checkpoint, a Hugging Face directory or a GGUF file: reads and checks it, and puts an ONNX graph with its
 * weights into a cache directory. The fingerprint gives the name there. A second import finds the result of the first. An interrupted import
 * goes on where it stopped. Two imports at once do the work once.
 * Knows the order of the steps; each step is a file of its own beside this one.
 *
 * Words: checkpoint = a Hugging Face directory or a GGUF file; import = the graph and weights made from it; fingerprint = the hash of
 * all that decides its KV; activations = the type of hidden states; probe = the first layers as a graph of their own.
 */
import { readFile, rename, rm, statfs, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { BlockstitchError } from '../errors.js';
import { makeDirectory } from '../make-directory.js';
import { type Checkpoint, openCheckpoint } from './checkpoint.js';
import { linkCheckpointFiles } from './checkpoint-links.js';
import { buildDecoderGraph } from './decoder-graph.js';
import type { DecoderEntries } from './decoder-weights.js';
import { fileIdentity, fingerprintCheckpoint } from './fingerprint.js';
import { acquireImportLock } from './import-lock.js';
import { checkpointName, type ImportedModel, type WeightFormat } from './imported-model.js';
import { type ActivationType, narrowGraph } from './narrow-graph.js';
import { encodeModel } from './onnx-schema.js';
import { buildProbeGraph, PROBE_LAYER } from './probe-graph.js';
import { ropeTables } from './rope.js';
import { type ByteForm, byteFormHere } from './signed-bytes.js';
import { readVectors } from './vector-reader.js';
import { multipliesBytes, WEIGHTS_FILE, WeightPlan } from './weight-plan.js';
import { writeWeights } from './weight-writer.js';

const GRAPH_FILE = 'model.onnx';
/** The first layers of the same graph, for models that have two layers or more. */
const PROBE_FILE = 'probe.onnx';
/** Written last; a directory without it is not a finished import. */
const MANIFEST_FILE = 'import.json';

/** Raise it when graphs change and KV does not: imports are made again, and stored blocks stay good. */
const GRAPH_VERSION = 3;
const FORMATS: readonly WeightFormat[] = ['fp32', 'int8', 'int4', 'native'];

export interface ImportProgress {
  /** `hash`: fingerprinting the checkpoint. `convert`: writing weights. `done`: sent once at the end. */
  phase: 'hash' | 'convert' | 'done';
  doneBytes: number;
  totalBytes: number;
  /** True if the result of an earlier import was found (phase `done`). */
  cached?: boolean;
}

export interface ImportOptions {
  /** Hugging Face directory (config.json, safetensors, tokenizer files) or GGUF file. */
  checkpointDir: string;
  /** PEFT adapter that is merged into it (`adapter/apply-adapter.ts`). Part of the fingerprint. */
  adapterDir?: string;
  weights: WeightFormat;
  /** Type of hidden states: float32 (default) on a CPU, 16-bit on a GPU. `checkpoint`: the type of its weights. */
  activations?: ActivationType | 'checkpoint';
  /** How products of bytes want their weights; default: as this machine's processor does them fastest. */
  byteForm?: ByteForm;
  /** Imports are kept here, one directory each. Made if absent. */
  cacheDir: string;
  /** Name of the served model; default: the base name of the directory or file. */
  name?: string;
  onProgress?: (progress: ImportProgress) => void;
  /** Stops the import. The next one goes on with what was written. */
  signal?: AbortSignal;
}

/**
 * Imports a checkpoint, or finds it imported.
 *
 * @returns the graph's path and the facts about the model
 * @throws BlockstitchError `checkpoint_invalid` with file and reason; `import_failed` if the cache directory cannot be
 *   written (a full disk); the signal's reason if aborted
 */
export async function importModel(options: ImportOptions): Promise<ImportedModel> {
  if (!FORMATS.includes(options.weights)) throw new TypeError(`weights must be one of ${FORMATS.join(', ')}`);
  const checkpointDir = resolve(options.checkpointDir);
  const cacheDir = resolve(options.cacheDir);
  const adapterDir = options.adapterDir === undefined ? undefined : resolve(options.adapterDir);
  const checkpoint = await openCheckpoint(checkpointDir, adapterDir);
  const { config, tensors, entries } = checkpoint;
  const { signal, onProgress } = options;
  const activations = activationsOf(options.activations ?? 'float32', entries);
  try {
    await makeDirectory(cacheDir);
    const fingerprint = await fingerprintCheckpoint({
      configBytes: config.configBytes,
      files: tensors.files,
      weights: options.weights,
      activations,
      memory: join(cacheDir, 'digests'),
      onProgress: (doneBytes, totalBytes) => onProgress?.({ phase: 'hash', doneBytes, totalBytes }),
      signal,
    });
    const byteForm = options.byteForm ?? byteFormHere();
    const source = { ...checkpoint, weights: options.weights, activations, byteForm, fingerprint };
    // The same KV, so the same fingerprint, in two layouts: machines of both kinds may share the directory.
    const isUnsigned = multipliesBytes(options.weights, activations !== 'float32') && byteForm === 'unsigned';
    const directory = join(cacheDir, fingerprint.slice(0, 32) + (isUnsigned ? '-unsigned' : ''));
    const hasProbe = wantsProbe(source);
    const cached = await isImported(directory, source);
    if (!cached) await importInto(directory, source, options);
    onProgress?.({ phase: 'done', doneBytes: 1, totalBytes: 1, cached });
    return {
      name: options.name ?? checkpointName(checkpointDir),
      checkpointDir,
      ...(adapterDir === undefined ? {} : { adapterDir }),
      graphPath: join(directory, GRAPH_FILE),
      ...(hasProbe ? { probePath: join(directory, PROBE_FILE) } : {}),
      weights: options.weights,
      storedTypes: storedTypes(entries),
      fingerprint,
      config: config.model,
      generation: config.generation,
    };
  } catch (error) {
    throw translate(error, cacheDir);
  }
}

interface ImportSource extends Checkpoint {
  weights: WeightFormat;
  activations: ActivationType;
  byteForm: ByteForm;
  fingerprint: string;
}

/** Types of the linear layers, each once, in alphabetical order. */
export function storedTypes({ layers, head }: DecoderEntries): string[] {
  const linear = layers.flatMap((layer) => [
    layer.query.weight,
    layer.key.weight,
    layer.value.weight,
    layer.output.weight,
    layer.gate.weight,
    layer.up.weight,
    layer.down.weight,
  ]);
  return [...new Set([...linear, head].map(({ dtype }) => dtype))].sort();
}

/** bfloat16 weights may be too large for float16; all other types fit into float16. */
function activationsOf(asked: ActivationType | 'checkpoint', entries: DecoderEntries): ActivationType {
  if (asked !== 'checkpoint') return asked;
  return entries.layers[0]?.query.weight.dtype === 'BF16' ? 'bfloat16' : 'float16';
}

/** Probes compare float32 values with pages in host memory: models of two layers or more, on a CPU. */
function wantsProbe({ config, activations }: Pick<ImportSource, 'config' | 'activations'>): boolean {
  return activations === 'float32' && config.model.layers > PROBE_LAYER;
}

/** Size and time of a file at the end of the import. */
interface ManifestFile {
  name: string;
  size: number;
  modifiedNs: string;
}

/** True if the directory holds a finished import and its files have not changed. */
async function isImported(directory: string, source: ImportSource): Promise<boolean> {
  const { fingerprint } = source;
  try {
    const manifest = JSON.parse(await readFile(join(directory, MANIFEST_FILE), 'utf8')) as {
      version: number;
      fingerprint: string;
      files: ManifestFile[];
    };
    if (manifest.version !== GRAPH_VERSION || manifest.fingerprint !== fingerprint) return false;
    // Imports from before there was a probe are made again.
    if (wantsProbe(source) && !manifest.files.some(({ name }) => name === PROBE_FILE)) return false;
    for (const file of manifest.files) {
      const { size, modifiedNs } = await fileIdentity(join(directory, file.name));
      if (size !== file.size || modifiedNs !== file.modifiedNs) return false;
    }
    return true;
  } catch {
    return false;
  }
}

/** Does the work in `<directory>.partial` and publishes it by renaming. */
async function importInto(directory: string, source: ImportSource, options: ImportOptions): Promise<void> {
  const release = await acquireImportLock(`${directory}.lock`, options.signal);
  try {
    // Another process may have finished while this one waited.
    if (await isImported(directory, source)) return;
    const partial = `${directory}.partial`;
    await makeDirectory(partial);
    const files = await writeImport(partial, source, options);
    const identities = await Promise.all(
      files.map(async (name): Promise<ManifestFile> => {
        const { size, modifiedNs } = await fileIdentity(join(partial, name));
        return { name, size, modifiedNs };
      }),
    );
    const manifest = { version: GRAPH_VERSION, fingerprint: source.fingerprint, files: identities };
    await writeFile(join(partial, MANIFEST_FILE), JSON.stringify(manifest), { flush: true });
    // The directory holds no finished import (checked above): it is damaged, or of another version.
    await rm(directory, { recursive: true, force: true });
    await rename(partial, directory);
  } finally {
    await release();
  }
}

/** @returns names of the import's files */
async function writeImport(partial: string, source: ImportSource, options: ImportOptions): Promise<string[]> {
  const { config, entries, tensors } = source;
  const { model, rope, windows } = config;
  const links = await linkCheckpointFiles(partial, tensors.files);
  const { activations } = source;
  const plan = new WeightPlan(source.weights, links, { forGpu: activations !== 'float32', byteForm: source.byteForm });
  let tables: { cos: Float32Array; sin: Float32Array } | undefined;
  const table = (which: 'cos' | 'sin') => () => {
    tables ??= ropeTables(rope, model.rotaryDim, model.maxPositions);
    return tables[which];
  };
  const dims = [model.maxPositions, model.rotaryDim / 2] as const;
  const graph = buildDecoderGraph({
    config: model,
    windows,
    entries,
    plan,
    rope: { cos: plan.computed('rope.cos', dims, table('cos')), sin: plan.computed('rope.sin', dims, table('sin')) },
    vectors: await readVectors(entries),
    metadata: { fingerprint: source.fingerprint, weights: source.weights },
  });
  await requireSpace(partial, plan.bytes);
  await writeWeights({
    directory: partial,
    plan,
    onProgress: (doneBytes, totalBytes) => options.onProgress?.({ phase: 'convert', doneBytes, totalBytes }),
    signal: options.signal,
  });
  const graphs = new Map([[GRAPH_FILE, activations === 'float32' ? graph : narrowGraph(graph, activations)]]);
  const probe = wantsProbe(source) ? buildProbeGraph(graph, model.kvHeads * model.headDim) : undefined;
  if (probe !== undefined) graphs.set(PROBE_FILE, probe);
  for (const [name, each] of graphs) await writeFile(join(partial, name), encodeModel(each), { flush: true });
  const used = graph.initializers.flatMap(({ data }) => ('location' in data ? [data.location] : []));
  for (const link of links.values()) if (!used.includes(link)) await rm(join(partial, link), { force: true });
  return [...graphs.keys(), ...new Set([...used, WEIGHTS_FILE])];
}

/** Fails before hours of work instead of after them. Bytes that an interrupted import has written count as there. */
async function requireSpace(partial: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(partial);
  const written = await fileIdentity(join(partial, WEIGHTS_FILE)).then(
    ({ size }) => size,
    () => 0,
  );
  const missing = neededBytes - written;
  if (missing > bavail * bsize) {
    const reason = `the disk is full: ${missing} bytes are needed, ${bavail * bsize} are free`;
    throw new BlockstitchError('import_failed', { path: partial, reason });
  }
}

/** System errors of writing become `import_failed`; everything else passes. */
function translate(error: unknown, cacheDir: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (error instanceof BlockstitchError || typeof code !== 'string' || !/^E[A-Z]+$/.test(code)) return error;
  const reasons: Record<string, string> = {
    ENOSPC: 'the disk is full',
    EDQUOT: 'the disk quota is used up',
    EROFS: 'the file system is read-only',
    EACCES: 'permission is denied',
  };
  return new BlockstitchError(
    'import_failed',
    { path: cacheDir, reason: `${reasons[code] ?? (error as Error).message} (${code})` },
    { cause: error },
  );
}
