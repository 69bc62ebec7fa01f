/**
 * Loads xgrammar, which is WebAssembly inside one script. Its package says that the script is an ES module, and it is a
 * CommonJS one, so Node cannot import it: it is compiled as CommonJS here. Knows the package's form only.
 */
import { readFileSync } from 'node:fs';
import { Module } from 'node:module';
import { fileURLToPath } from 'node:url';

export type XGrammar = typeof import('@mlc-ai/web-xgrammar');

interface CommonJs {
  exports: unknown;
  _compile(source: string, file: string): void;
}

/** It tells the console what it thinks of a client's pattern. Call in a thread of its own: nothing else is told there. */
export function silenceXGrammar(): void {
  console.log = () => undefined;
  console.info = () => undefined;
  console.warn = () => undefined;
}

export function loadXGrammar(): XGrammar {
  const file = fileURLToPath(import.meta.resolve('@mlc-ai/web-xgrammar'));
  const module = new Module(file) as unknown as CommonJs;
  module._compile(readFileSync(file, 'utf8'), file);
  return module.exports as XGrammar;
}
