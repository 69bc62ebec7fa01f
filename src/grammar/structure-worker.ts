/**
 * Turns what a client asks for into EBNF, in a thread of its own: what the client sends may be wrong or endless, and
 * xgrammar ends its WebAssembly at an error. The host throws this thread away then.
 * Knows texts only; `grammar-worker.ts` knows tokens.
 */
import { parentPort } from 'node:worker_threads';
import { ebnfOfCalls, quoted } from './ebnf-of-calls.js';
import { withRanges } from './integer-range.js';
import { loadXGrammar, silenceXGrammar, type XGrammar } from './load-xgrammar.js';
import type { CallsStructure, OutputStructure } from './output-structure.js';
import { withUtf8Classes } from './utf8-classes.js';

export type StructureAnswer = { ready: true } | { ebnf: string } | { error: string };

if (parentPort !== null) {
  const host = parentPort;
  silenceXGrammar();
  const xgrammar = loadXGrammar();
  // xgrammar says what is wrong on the console before it ends itself.
  let said = '';
  console.error = (line: unknown) => {
    said ||= String(line);
  };
  host.on('message', async (structure: OutputStructure) => {
    try {
      const ebnf = await ebnfOf(xgrammar, structure);
      host.postMessage({ ebnf } satisfies StructureAnswer);
    } catch (error) {
      const words = /\] [^:]*:\d+: (.*)/s.exec(said)?.[1] ?? said;
      host.postMessage({ error: reasonOf(words.trim() || String(error)) } satisfies StructureAnswer);
    }
  });
  host.postMessage({ ready: true } satisfies StructureAnswer);
}

/** What a client can act on: not what only xgrammar's own source explains. */
function reasonOf(words: string): string {
  if (/^Check failed|Aborted\(/.test(words)) return 'it is too large, or its limits leave no value';
  return words.replace(/\.$/, '');
}

async function ebnfOf(xgrammar: XGrammar, structure: OutputStructure): Promise<string> {
  if (structure.kind === 'calls') return ebnfOfCalls(structure, (each) => ebnfOf(xgrammar, each));
  const ebnf = (await grammarOf(xgrammar, structure)).toString();
  const mended = withUtf8Classes(withoutBareControls(ebnf));
  return structure.kind === 'json_schema' ? withRanges(mended) : mended;
}

/** An indent of -1: no line breaks. Without a value it is 2. */
const ONE_LINE = -1;

/** In strings with a length xgrammar allows control characters, which JSON does not. */
function withoutBareControls(ebnf: string): string {
  return ebnf.replaceAll(String.raw`[^\"\\\r\n]`, String.raw`[^\0-\x1f\"\\]`);
}

function grammarOf({ Grammar }: XGrammar, structure: Exclude<OutputStructure, CallsStructure>) {
  switch (structure.kind) {
    case 'json_schema':
      // JSON on one line, with a blank after commas and colons: where blanks are free, small models write them without end.
      return Grammar.fromJSONSchema(structure.schema, false, ONE_LINE, undefined, true);
    case 'regex':
      return Grammar.fromStructuralTag({
        type: 'structural_tag',
        format: { type: 'regex', pattern: structure.pattern },
      });
    case 'choice':
      return Grammar.fromEBNF(`root ::= ${structure.choices.map(quoted).join(' | ')}`);
    case 'grammar':
      return Grammar.fromEBNF(structure.ebnf);
  }
}
