/**
 * The thread that knows grammars: compiles them over the vocabulary, and follows each request's text through its
 * grammar. Grammars come as EBNF that `structure-worker.ts` has made, so they are well formed.
 * Knows tokens as bytes. The engine's worker samples, see `mask-link.ts`.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { readTokenizerDefinition } from '../text/read-tokenizer.js';
import { Tokenizer } from '../text/tokenizer.js';
import { CharacterBytes, mayBeText } from './character-bytes.js';
import { EngineTurns } from './engine-turns.js';
import { loadXGrammar, silenceXGrammar, type XGrammar } from './load-xgrammar.js';
import type { MatchCommand } from './mask-link.js';
import { MASK_STATE, MaskMemory } from './mask-memory.js';

export interface GrammarWorkerSetup {
  /** Directory or GGUF file with the tokenizer. */
  checkpoint: string;
  /** Width of a row of logits. */
  vocabSize: number;
  /** Tokens that end a text. */
  stopTokenIds: readonly number[];
  /** Control tokens, by their texts, that answers may have. */
  markers?: readonly string[];
}

/** With what the service adds for itself. */
export interface GrammarWorkerData extends GrammarWorkerSetup {
  /** Of an `EngineTurns`. */
  turns: Int32Array;
}

export type GrammarCommand =
  | { type: 'compile'; id: number; ebnf: string }
  | { type: 'drop'; id: number }
  /** A line to an engine's worker. */
  | { type: 'connect'; port: MessagePort };

/** `ms`: how long compiling took. */
export type GrammarAnswer = { ready: true } | { id: number; ms: number } | { id: number; error: string };

type Compiled = Awaited<
  ReturnType<Awaited<ReturnType<XGrammar['GrammarCompiler']['createGrammarCompiler']>>['compileGrammar']>
>;
type Matcher = Awaited<ReturnType<XGrammar['GrammarMatcher']['createGrammarMatcher']>>;

type OpenCommand = Extract<MatchCommand, { type: 'open' }>;

/** A request whose text is followed. */
interface Followed {
  grammar: number;
  matcher: Matcher;
  memory: MaskMemory;
}

/** Does work after all that came before it, although the binding is asynchronous: what holds the thread is then known. */
type InTurn = (work: () => Promise<void>) => void;

/** Takes out of a mask what cannot follow a token. */
type Narrow = (mask: Int32Array, token: number) => void;

if (parentPort !== null) void main(parentPort);

async function main(host: MessagePort): Promise<void> {
  silenceXGrammar();
  const xgrammar = loadXGrammar();
  const { checkpoint, vocabSize, stopTokenIds, markers = [], turns } = workerData as GrammarWorkerData;
  const tokenizer = new Tokenizer(await readTokenizerDefinition(checkpoint));
  // Tokens without text are never allowed but at the end. A marker of calls is text, also where it is a control token.
  const isText = (id: number) => !tokenizer.controlIds.has(id) || markers.includes(tokenizer.token(id) ?? '');
  const bytesOf = (id: number) => {
    const bytes = tokenizer.tokenBytes(id);
    return isText(id) && mayBeText(bytes) ? bytes : new Uint8Array();
  };
  // The binding hands the vocabulary on to C++ strings, which take bytes too.
  const bytes = Array.from({ length: vocabSize }, (_, id) => bytesOf(id));
  const characters = new CharacterBytes(vocabSize, (id) => bytes[id] as Uint8Array);
  const lastByte = (id: number) => bytes[id]?.at(-1);
  const vocabulary = bytes as unknown as string[];
  const info = await xgrammar.TokenizerInfo.createTokenizerInfo(vocabulary, 'raw', false, vocabSize, [...stopTokenIds]);
  // The host remembers compiled grammars and says which to drop.
  const compiler = await xgrammar.GrammarCompiler.createGrammarCompiler(info, false);
  const grammars = new Map<number, Compiled>();
  const narrowed: Narrow = (mask, token) => characters.narrow(mask, lastByte(token));
  let last: Promise<void> = Promise.resolve();
  const inTurn: InTurn = (work) => {
    last = last.then(work);
  };
  const engineTurns = new EngineTurns(turns);
  host.on('message', (command: GrammarCommand) => {
    if (command.type === 'connect') serve(xgrammar, grammars, command.port, { inTurn, engineTurns, narrow: narrowed });
    else if (command.type === 'drop') {
      inTurn(async () => {
        grammars.get(command.id)?.dispose();
        grammars.delete(command.id);
      });
    } else {
      const { id, ebnf } = command;
      inTurn(async () => {
        const begin = performance.now();
        try {
          const grammar = await compiler.compileGrammar(ebnf);
          if (!(await allowsText(xgrammar, grammar))) throw new Error('no text fits it');
          grammars.set(id, grammar);
          host.postMessage({ id, ms: performance.now() - begin } satisfies GrammarAnswer);
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error);
          host.postMessage({ id, error: reason } satisfies GrammarAnswer);
        }
      });
    }
  });
  host.postMessage({ ready: true } satisfies GrammarAnswer);
}

/** Whether a first token is allowed. Its mask is made here, where there is a deadline: it may be the slowest. */
async function allowsText(xgrammar: XGrammar, grammar: Compiled): Promise<boolean> {
  const matcher = await xgrammar.GrammarMatcher.createGrammarMatcher(grammar);
  try {
    return (await matcher.getNextTokenBitmask()).some((word) => word !== 0);
  } finally {
    matcher.dispose();
  }
}

/** Follows the requests of one engine. */
function serve(
  xgrammar: XGrammar,
  grammars: ReadonlyMap<number, Compiled>,
  port: MessagePort,
  { inTurn, engineTurns, narrow }: { inTurn: InTurn; engineTurns: EngineTurns; narrow: Narrow },
): void {
  const requests = new Map<number, Followed>();
  const open = async ({ request, grammar, tokens, memory: buffer }: OpenCommand): Promise<void> => {
    const memory = new MaskMemory(buffer);
    const compiled = grammars.get(grammar);
    if (compiled === undefined) return memory.set(MASK_STATE.failed);
    const matcher = await xgrammar.GrammarMatcher.createGrammarMatcher(compiled);
    requests.set(request, { grammar, matcher, memory });
    if (!tokens.every((token) => matcher.acceptToken(token))) return memory.set(MASK_STATE.failed);
    const token = tokens.at(-1);
    return write(matcher, memory, token === undefined ? undefined : (mask) => narrow(mask, token));
  };
  const carryOut = async (command: MatchCommand): Promise<void> => {
    if (command.type === 'open') return open(command);
    const followed = requests.get(command.request);
    if (followed === undefined) return;
    const { matcher, memory } = followed;
    if (command.type === 'close') {
      requests.delete(command.request);
      matcher.dispose();
    } else if (matcher.acceptToken(command.token)) await write(matcher, memory, (mask) => narrow(mask, command.token));
    else memory.set(MASK_STATE.failed);
  };
  port.on('message', (command: MatchCommand) => {
    inTurn(() => {
      const grammar = command.type === 'open' ? command.grammar : requests.get(command.request)?.grammar;
      return engineTurns.run(grammar ?? 0, async () => {
        try {
          await carryOut(command);
        } catch {
          const failed =
            command.type === 'open' ? new MaskMemory(command.memory) : requests.get(command.request)?.memory;
          failed?.set(MASK_STATE.failed);
        }
      });
    });
  });
  port.once('close', () => {
    inTurn(async () => {
      for (const { matcher } of requests.values()) matcher.dispose();
      requests.clear();
    });
  });
}

async function write(matcher: Matcher, memory: MaskMemory, narrow?: (mask: Int32Array) => void): Promise<void> {
  if (matcher.isTerminated()) return memory.set(MASK_STATE.ended);
  memory.mask.set(await matcher.getNextTokenBitmask());
  narrow?.(memory.mask);
  memory.set(MASK_STATE.ready);
}
