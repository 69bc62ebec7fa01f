/** Reads a checkpoint's tokenizer: from the files of a Hugging Face directory, or from a GGUF file's metadata. */
import { join } from 'node:path';
import { isGgufPath } from '../gguf/gguf-file.js';
import { readGgufTokenizer } from './gguf-tokenizer.js';
import { readTokenizerDirectory, type TokenizerDefinition } from './tokenizer-file.js';

/**
 * @param checkpointDir Hugging Face directory or GGUF file
 * @throws BlockstitchError `checkpoint_invalid` with the reason, for missing, truncated or unknown files
 */
export async function readTokenizerDefinition(checkpointDir: string): Promise<TokenizerDefinition> {
  return (await isGgufPath(checkpointDir)) ? readGgufTokenizer(checkpointDir) : readTokenizerDirectory(checkpointDir);
}

/** The file that a checkpoint's tokenizer stands in, for messages. */
export async function tokenizerPath(checkpointDir: string): Promise<string> {
  return (await isGgufPath(checkpointDir)) ? checkpointDir : join(checkpointDir, 'tokenizer.json');
}
