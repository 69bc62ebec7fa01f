/** Real tokenizers that `make tokenizers` fetched, and the Python libraries' word on texts and chats with them. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_DIR } from '../../src/config.js';

const VERSION = '3.7.2';

export const REAL_TOKENIZERS = ['qwen3', 'llama3_1', 'llama2', 'deepseek_v3', 'gptoss', 'gemma3'];

/** @returns its directory, or undefined if it could not be fetched */
export function realTokenizer(name: string): string | undefined {
  const directory = join(PACKAGE_DIR, 'build', 'tokenizers', `${name}-${VERSION}`);
  return existsSync(join(directory, 'tokenizer.json')) ? directory : undefined;
}

/** Runs a Python program that reads JSON from stdin and prints JSON. */
export async function askPython<Answer>(python: string, program: string, input: unknown): Promise<Answer> {
  const child = spawn(python, ['-c', program], { env: { ...process.env, HF_HUB_OFFLINE: '1' } });
  const output: string[] = [];
  const errors: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (part: string) => output.push(part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => errors.push(part));
  child.stdin.end(JSON.stringify(input));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`Python ended with ${code}: ${errors.join('').slice(-2000)}`);
  return JSON.parse(output.join('')) as Answer;
}
