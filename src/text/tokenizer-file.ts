/**
 * Reads the tokenizer of a Hugging Face directory (tokenizer.json, tokenizer_config.json, chat_template.jinja) and
 * refuses, with the reason, files that are truncated, hostile or of an unknown kind. `read-tokenizer.ts` chooses
 * between this file and `gguf-tokenizer.ts`.
 * Knows the file format. The files named after the parts know what the parts do.
 */
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BlockstitchError } from '../errors.js';
import { standInReason } from '../stand-in-file.js';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export interface AddedToken {
  id: number;
  content: string;
  singleWord: boolean;
  lstrip: boolean;
  rstrip: boolean;
  /** Matched in the normalized text, not in the original. */
  normalized: boolean;
  special: boolean;
}

export interface BpeDefinition {
  /** Token to id; ids below 2^24. */
  vocab: ReadonlyMap<string, number>;
  /** Pairs in order of rank. */
  merges: readonly (readonly [string, string])[];
  unkToken: string | undefined;
  fuseUnk: boolean;
  byteFallback: boolean;
  ignoreMerges: boolean;
}

export interface TokenizerDefinition {
  model: BpeDefinition;
  addedTokens: readonly AddedToken[];
  normalizer: JsonObject | undefined;
  preTokenizer: JsonObject | undefined;
  decoder: JsonObject | undefined;
  postProcessor: JsonObject | undefined;
  /** tokenizer_config.json, and of special_tokens_map.json what it lacks; empty if both are missing. */
  config: JsonObject;
  /** chat_template.jinja, else `chat_template` of tokenizer_config.json (the one named `default` of several). */
  chatTemplate: string | undefined;
}

/** Larger tokenizer files are refused: the largest in use (Gemma 3) has 33 MB. */
const MAX_FILE_BYTES = 128 * 2 ** 20;
export const MAX_TEMPLATE_CHARACTERS = 2 ** 20;
const MAX_TOKEN_ID = 2 ** 24;
const MAX_TOKEN_CHARACTERS = 4096;
const MAX_DEPTH = 64;

/**
 * What the parts of a tokenizer throw when they refuse something; becomes `checkpoint_invalid` with the file's path.
 */
export class TokenizerFormatError extends Error {
  override readonly name = 'TokenizerFormatError';
}

/**
 * @throws BlockstitchError `checkpoint_invalid` with the reason, for missing, truncated or unknown files
 */
export async function readTokenizerDirectory(checkpointDir: string): Promise<TokenizerDefinition> {
  const path = join(checkpointDir, 'tokenizer.json');
  const tokenizer = await readJsonObject(path, true);
  const configPath = join(checkpointDir, 'tokenizer_config.json');
  const mapPath = join(checkpointDir, 'special_tokens_map.json');
  const specialTokens = (await readJsonObject(mapPath, false)) ?? {};
  const config = { ...specialTokens, ...(await readJsonObject(configPath, false)) };
  try {
    return {
      ...parseTokenizerJson(tokenizer ?? {}),
      config,
      chatTemplate: await readChatTemplate(checkpointDir, config),
    };
  } catch (error) {
    if (error instanceof TokenizerFormatError) throw invalid(path, error.message, error);
    throw error;
  }
}

/** The parts of tokenizer.json. @throws TokenizerFormatError naming what is wrong */
export function parseTokenizerJson(json: JsonObject): Omit<TokenizerDefinition, 'config' | 'chatTemplate'> {
  const model = json.model;
  if (!isObject(model)) throw new TokenizerFormatError('"model" is missing or not an object');
  const parsed = parseBpe(model);
  return {
    model: parsed,
    addedTokens: parseAddedTokens(json.added_tokens ?? [], parsed.vocab),
    normalizer: optionalObject(json, 'normalizer'),
    preTokenizer: optionalObject(json, 'pre_tokenizer'),
    decoder: optionalObject(json, 'decoder'),
    postProcessor: optionalObject(json, 'post_processor'),
  };
}

function parseBpe(model: JsonObject): BpeDefinition {
  // Files of old library versions leave the type out; merges tell a BPE model from the others.
  const type = model.type ?? (Array.isArray(model.merges) ? 'BPE' : 'unknown');
  if (type !== 'BPE') throw new TokenizerFormatError(`model type ${quote(type)} is not supported; supported: BPE`);
  for (const name of ['continuing_subword_prefix', 'end_of_word_suffix', 'continuing_subword_suffix']) {
    if (model[name] !== undefined && model[name] !== null && model[name] !== '') {
      throw new TokenizerFormatError(`model.${name} ${quote(model[name])} is not supported`);
    }
  }
  if (typeof model.dropout === 'number' && model.dropout > 0) {
    throw new TokenizerFormatError('model.dropout makes token ids random; equal text must give equal tokens');
  }
  if (!isObject(model.vocab)) throw new TokenizerFormatError('model.vocab is missing or not an object');
  const vocab = new Map<string, number>();
  const seen = new Set<number>();
  for (const [token, id] of Object.entries(model.vocab)) {
    checkId(id, token);
    if (seen.has(id)) throw new TokenizerFormatError(`model.vocab gives the id ${id} twice`);
    seen.add(id);
    vocab.set(token, id);
  }
  if (vocab.size === 0) throw new TokenizerFormatError('model.vocab is empty');
  if (!Array.isArray(model.merges)) throw new TokenizerFormatError('model.merges is missing or not a list');
  const merges = parseMerges(model.merges, 'model.merges', vocab);
  const unkToken = model.unk_token;
  if (typeof unkToken === 'string' && !vocab.has(unkToken)) {
    throw new TokenizerFormatError(`model.unk_token ${quote(unkToken)} is not in the vocabulary`);
  }
  return {
    vocab,
    merges,
    unkToken: typeof unkToken === 'string' ? unkToken : undefined,
    fuseUnk: model.fuse_unk === true,
    byteFallback: model.byte_fallback === true,
    ignoreMerges: model.ignore_merges === true,
  };
}

/**
 * @param merges pairs, or strings of two tokens with a space between
 * @param where their name in the file
 * @throws TokenizerFormatError naming the rank of the first that is no pair or lacks an id
 */
export function parseMerges(
  merges: readonly Json[],
  where: string,
  vocab: ReadonlyMap<string, number>,
): [string, string][] {
  return merges.map((merge, rank) => parseMerge(merge, `${where}[${rank}]`, vocab));
}

function parseMerge(merge: Json, where: string, vocab: ReadonlyMap<string, number>): [string, string] {
  let pair: Json[] | undefined;
  if (Array.isArray(merge)) pair = merge;
  else if (typeof merge === 'string') pair = merge.split(' ');
  const [left, right] = pair ?? [];
  if (pair?.length !== 2 || typeof left !== 'string' || typeof right !== 'string') {
    throw new TokenizerFormatError(`${where} is not a pair of tokens`);
  }
  for (const token of [left, right, left + right]) {
    if (!vocab.has(token)) {
      throw new TokenizerFormatError(`${where} needs the token ${quote(token)}, which has no id`);
    }
  }
  return [left, right];
}

function parseAddedTokens(list: Json, vocab: ReadonlyMap<string, number>): AddedToken[] {
  if (!Array.isArray(list)) throw new TokenizerFormatError('added_tokens is not a list');
  const owners = new Map<number, string>();
  for (const [token, id] of vocab) owners.set(id, token);
  return list.map((entry, index) => {
    if (!isObject(entry) || typeof entry.content !== 'string') {
      throw new TokenizerFormatError(`added_tokens[${index}] has no content`);
    }
    const { content, id } = entry;
    checkId(id ?? null, content);
    if (content === '') throw new TokenizerFormatError(`added_tokens[${index}] is empty`);
    const owner = owners.get(id as number);
    if (owner !== undefined && owner !== content) {
      throw new TokenizerFormatError(`the id ${String(id)} is given to ${quote(owner)} and to ${quote(content)}`);
    }
    owners.set(id as number, content);
    const special = entry.special === true;
    return {
      id: id as number,
      content,
      singleWord: entry.single_word === true,
      lstrip: entry.lstrip === true,
      rstrip: entry.rstrip === true,
      normalized: typeof entry.normalized === 'boolean' ? entry.normalized : !special,
      special,
    };
  });
}

function checkId(id: Json, token: string): asserts id is number {
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= MAX_TOKEN_ID) {
    throw new TokenizerFormatError(`the token ${quote(token)} has the id ${quote(id)}, not in 0..${MAX_TOKEN_ID - 1}`);
  }
  if (token.length > MAX_TOKEN_CHARACTERS) {
    throw new TokenizerFormatError(`the token with id ${id} has more than ${MAX_TOKEN_CHARACTERS} characters`);
  }
}

async function readChatTemplate(checkpointDir: string, config: JsonObject): Promise<string | undefined> {
  const path = join(checkpointDir, 'chat_template.jinja');
  const file = await readBounded(path, MAX_TEMPLATE_CHARACTERS, false);
  const template = file ?? templateOfConfig(config.chat_template ?? null);
  if (template !== undefined && template.length > MAX_TEMPLATE_CHARACTERS) {
    throw new TokenizerFormatError(`the chat template has more than ${MAX_TEMPLATE_CHARACTERS} characters`);
  }
  return template;
}

function templateOfConfig(value: Json): string | undefined {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return undefined;
  for (const entry of value) {
    if (isObject(entry) && entry.name === 'default' && typeof entry.template === 'string') return entry.template;
  }
  return undefined;
}

async function readJsonObject(path: string, required: boolean): Promise<JsonObject | undefined> {
  const text = await readBounded(path, MAX_FILE_BYTES, required);
  if (text === undefined) return undefined;
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (error) {
    throw invalid(path, `not valid JSON (${error instanceof Error ? error.message : String(error)})`, error);
  }
  if (!isObject(value)) throw invalid(path, 'not a JSON object');
  if (depthOf(value) > MAX_DEPTH) throw invalid(path, `nested deeper than ${MAX_DEPTH} levels`);
  return value;
}

async function readBounded(path: string, maxBytes: number, required: boolean): Promise<string | undefined> {
  try {
    const { size } = await stat(path);
    if (size > maxBytes) throw invalid(path, `it has ${size} bytes, more than ${maxBytes}`);
    const bytes = await readFile(path);
    const standIn = standInReason(bytes);
    if (standIn !== undefined) throw invalid(path, standIn);
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof BlockstitchError) throw error;
    if (isMissing(error)) {
      if (!required) return undefined;
      throw invalid(path, missingTokenizerReason(dirname(path)), error);
    }
    throw invalid(path, error instanceof TypeError ? 'it is not UTF-8' : String((error as Error).message), error);
  }
}

/** Other files that tell how to tokenize, none of which is read here. */
const OTHER_TOKENIZERS = ['tokenizer.model', 'tekken.json', 'vocab.json', 'spiece.model'];

function missingTokenizerReason(directory: string): string {
  const other = OTHER_TOKENIZERS.find((name) => existsSync(join(directory, name)));
  if (other === undefined) return 'there is no such file: run blockstitch pull OWNER/NAME again, into this directory';
  return (
    `there is no such file, only ${other}: make it with transformers, ` +
    `AutoTokenizer.from_pretrained('${directory}').save_pretrained('${directory}')`
  );
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function depthOf(root: Json): number {
  let level: Json[] = [root];
  let depth = 0;
  while (level.length > 0 && depth <= MAX_DEPTH) {
    depth += 1;
    const next: Json[] = [];
    for (const value of level) {
      if (value === null || typeof value !== 'object') continue;
      for (const child of Object.values(value)) if (child !== null && typeof child === 'object') next.push(child);
    }
    level = next;
  }
  return depth;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function optionalObject(json: JsonObject, name: string): JsonObject | undefined {
  const value = json[name];
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) throw new TokenizerFormatError(`"${name}" is not an object`);
  return value;
}

/** A value as a message shows it: short, one line. */
export function quote(value: Json | undefined): string {
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function invalid(path: string, reason: string, cause?: unknown): BlockstitchError {
  return new BlockstitchError('checkpoint_invalid', { path, reason }, { cause });
}
