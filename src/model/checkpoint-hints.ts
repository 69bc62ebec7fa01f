/**
 * Says what a path holds in place of a checkpoint, and what to run: another format of weights, a hub cache, an adapter,
 * an unfinished download, a repository's name. Knows names of files, and opens none.
 */
import { existsSync, readdirSync } from 'node:fs';
import { basename, join, relative } from 'node:path';

const REPOSITORY = /^(?:https?:\/(?:huggingface\.co|hf\.co)\/)?([\w-][\w.-]*\/[\w-][\w.-]*)$/;
const SHARD = /^model[^/]*-\d+-of-\d+\.safetensors$/;
const MOST_NAMES = 5;

/** Why a path that does not exist is no checkpoint. @param directory absolute */
export function missingDirectoryReason(directory: string): string {
  const given = relative(process.cwd(), directory);
  const repository = REPOSITORY.exec(given)?.[1];
  if (repository !== undefined && !repository.startsWith('..')) {
    const target = `models/${basename(repository)}`;
    return `there is no such directory; if it is a repository: blockstitch pull ${repository}, then --model ${target}`;
  }
  if (given.startsWith('~')) return 'there is no such directory; the shell did not replace ~: give the whole path';
  return 'there is no such directory';
}

/** Why a directory without config.json is no checkpoint. */
export function missingConfigReason(directory: string): string {
  const names = list(directory);
  const reason = 'it has no config.json';
  const gguf = names.find((name) => name.endsWith('.gguf'));
  if (gguf !== undefined) return `${reason}, but a GGUF file: --model ${join(directory, gguf)}`;
  if (names.includes('adapter_config.json')) {
    return `${reason}: it is an adapter. Give its base with --model, and this directory with --adapter`;
  }
  if (names.includes('snapshots')) {
    const [snapshot] = list(join(directory, 'snapshots'));
    return `${reason}: it is a hub cache. --model ${join(directory, 'snapshots', snapshot ?? 'REVISION')}`;
  }
  if (names.includes('params.json')) {
    return `${reason}: it is in its maker's own format. blockstitch pull OWNER/NAME of its Hugging Face version`;
  }
  const nested = names.find((name) => existsSync(join(directory, name, 'config.json')));
  if (nested !== undefined) return `${reason}, but ${nested}/ has one: --model ${join(directory, nested)}`;
  return `${reason}${shown(names)}`;
}

/** Why a directory without model.safetensors and its index has no weights. */
export function missingWeightsReason(directory: string): string {
  const names = list(directory);
  const reason = 'it has neither model.safetensors nor model.safetensors.index.json';
  const again = 'run blockstitch pull OWNER/NAME again, into this directory';
  const shard = names.find((name) => SHARD.test(name));
  if (shard !== undefined) return `${reason}, but ${shard}: the index tells which shards there are; ${again}`;
  const part = names.find((name) => name.endsWith('.part') || name.endsWith('.incomplete'));
  if (part !== undefined) return `${reason}, but ${part}, which is an unfinished download: ${again}`;
  const pickle = names.find((name) => /\.(bin|pt|pth|ckpt)(\.index\.json)?$/.test(name));
  if (pickle !== undefined) {
    return (
      `${reason}, but ${pickle}: pickles run code when they are read and are not taken. Convert it with transformers: ` +
      `AutoModelForCausalLM.from_pretrained('${directory}').save_pretrained('TARGET')`
    );
  }
  const gguf = names.find((name) => name.endsWith('.gguf'));
  if (gguf !== undefined) return `${reason}, but a GGUF file: --model ${join(directory, gguf)}`;
  if (names.includes('adapter_model.safetensors')) {
    return `${reason}, but adapter_model.safetensors: give its base with --model, and this directory with --adapter`;
  }
  const other = names.find((name) => name.endsWith('.safetensors'));
  if (other !== undefined) return `${reason}, but ${other}: if it holds all weights, rename it to model.safetensors`;
  const framework = names.find((name) => /\.(h5|msgpack|onnx|npz)$/.test(name));
  if (framework !== undefined) return `${reason}, but ${framework}, which is not read: take a safetensors version`;
  return `${reason}${shown(names)}`;
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

function shown(names: readonly string[]): string {
  if (names.length === 0) return ' (it is empty)';
  const more = names.length > MOST_NAMES ? `, and ${names.length - MOST_NAMES} more` : '';
  return ` (it holds ${names.slice(0, MOST_NAMES).join(', ')}${more})`;
}
