#!/usr/bin/env node
/**
 * `npm run bench -- NAME [--json] [--quick]`: runs one bench and prints its report.
 * Knows the names only; each bench is a file of this folder that exports `run`.
 */
import { Command, InvalidArgumentError } from 'commander';
import type { BenchOptions, BenchReport } from './report.js';

interface BenchModule {
  run(options: BenchOptions): Promise<BenchReport>;
}

/** Each name is a file of this folder. */
const BENCHES: Record<string, string> = {
  context: 'time to first token against the length of the context: full, cold and cached blocks; takes --plot',
  cuda: 'on a GPU: cached documents against full prefill, and decode, at the shape of Llama-3.1-8B',
  gateway: 'hit rate behind a proxy that sends equal documents to equal replicas (needs nginx)',
  grammar: 'structured output beside free text, and the compile of a schema, for the model of BLOCKSTITCH_MODEL',
  hostile: 'a small chat request beside clients that mean harm, compared with alone',
  kernel: 'single-query attention, compared with what memory and multiply-adds allow',
  lookup: 'decode with and without prompt lookup: quotations and free prose; takes --model and --data',
  overhead: 'decode time outside ONNX Runtime, and the HTTP thread under load',
  peers:
    'vLLM, llama.cpp and this engine by turns: prefill, decode, batches, known documents (after make peers); takes --model, --threads, --rows, --rounds, --plot, --markdown',
  perplexity: 'what each weight format costs in quality, for the model of BLOCKSTITCH_MODEL; takes --data',
  profile: "where a token's time goes in prefill and decode, beside this machine's products; takes --model",
  repair: 'time to first token against the share of cached tokens that is computed again',
  sampling: 'a draw over a vocabulary of 152k against sorting it, and steps of 32 sampled requests against greedy ones',
  segment: 'cutting 32k tokens of text, by every segmenter',
  stores: 'time to first token after a restart, from LMDB and from the Redis of REDIS_URL; takes --model',
  text: "from a new document's text to blocks for the engine: tokens made, and time against cutting and tokenizing once",
  update: 'the share of tokens that is prefilled again when 1% of a document of 20k tokens changes',
  ttft: 'time to first token with cached documents against full prefill; decode at depth',
};

function printReport(report: BenchReport): void {
  const { machine } = report;
  console.log(
    `${report.name}  (${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Node ${machine.node})`,
  );
  const section = (title: string, values: Record<string, unknown>) => {
    console.log(`\n${title}`);
    for (const [name, value] of Object.entries(values)) {
      console.log(`  ${name.padEnd(36)} ${typeof value === 'number' ? Number(value.toPrecision(4)) : value}`);
    }
  };
  section('config', report.config);
  section('medians', report.medians);
  section('ratios', report.ratios);
  console.log('\nchecks');
  for (const check of report.checks) {
    console.log(`  ${check.holds ? 'holds' : 'FAILS'}  ${check.claim}  (${Number(check.value.toPrecision(4))})`);
  }
}

/** @throws InvalidArgumentError unless it is a regular expression */
function expressionOf(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (cause) {
    throw new InvalidArgumentError((cause as Error).message);
  }
}

/** @throws InvalidArgumentError unless it is a whole number from 1 */
function countOf(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1) return count;
  throw new InvalidArgumentError('a whole number from 1');
}

/** @throws InvalidArgumentError unless all are whole numbers from 1 */
function threadsOf(text: string): number[] {
  return text.split(',').map(countOf);
}

const program = new Command('bench')
  .description('Runs one bench. Ratios come from one run; absolute times depend on the machine.')
  .argument('<name>', `one of: ${Object.keys(BENCHES).join(', ')}`)
  .option('--json', 'print the report as JSON', false)
  .option('--quick', 'fewer and smaller runs, not for quoting', false)
  .option('--data <file>', 'JSONL rows with documents, for the benches that take texts')
  .option(
    '--model <checkpoint>',
    "a directory, a GGUF file or a name, for the benches that take a model; else the server's",
  )
  .option('--plot <file>', 'an SVG of the figures, for the benches that draw one; a directory for peers')
  .option('--markdown <file>', 'the figures as tables, for the benches that write them')
  .option('--threads <numbers>', 'e.g. 1,2: one run each, for the benches that take them', threadsOf)
  .option('--rows <regexp>', "only the cases whose name matches, for peers, e.g. 'prefill|decode, 16'", expressionOf)
  .option('--rounds <number>', 'how often every case is measured, for peers; 5 by default', countOf)
  .addHelpText(
    'after',
    `\nBenches:\n${Object.entries(BENCHES)
      .map(([name, about]) => `  ${name.padEnd(10)} ${about}`)
      .join('\n')}`,
  )
  .action(
    async (
      name: string,
      { json, quick, ...given }: { json: boolean; quick: boolean } & Omit<BenchOptions, 'progress'>,
    ) => {
      if (!Object.hasOwn(BENCHES, name)) {
        program.error(`unknown bench '${name}'; one of: ${Object.keys(BENCHES).join(', ')}`, { exitCode: 2 });
      }
      const { run } = (await import(`./${name}.js`)) as BenchModule;
      const progress = (line: string) => console.error(line);
      const report = await run({ quick, progress, ...given });
      if (json) console.log(JSON.stringify(report, null, 2));
      else printReport(report);
      process.exitCode = report.checks.every((check) => check.holds) ? 0 : 1;
    },
  );

await program.parseAsync();
