#!/usr/bin/env node
/**
 * `npm run test:faults`: breaks real processes of the demo model in every way that is known, and prints what happened.
 * Knows options and the table; the cases are in the files beside it.
 */
import { Command } from 'commander';
import { describeMachine } from '../../../bench/report.js';
import { table } from '../../../src/cli/terminal.js';
import { CASES } from './cases.js';
import { type CaseReport, runCases } from './run.js';

const HEAD = ['case', 'holds', 'answers', 'wrong', 'failed', 'in flight', 'refused', 'lost', 'recovered', 'said'];

function rowOf({ name, state, reasons, outcome }: CaseReport): string[] {
  if (outcome === undefined)
    return [name, state === 'skipped' ? 'skipped' : 'NO', ...Array(7).fill('-'), reasons.join('; ')];
  const { answers, wrong, failed, inFlight, refused, lost, acknowledged, recoveredMs, said } = outcome;
  const recovered = recoveredMs === undefined ? 'by a start' : `${(recoveredMs / 1000).toFixed(1)} s`;
  const holds = state === 'holds' ? 'yes' : 'NO';
  const words = [...reasons, said].join('; ');
  const counts = [answers, wrong, failed.length, inFlight, refused].map(String);
  return [name, holds, ...counts, `${lost} of ${acknowledged}`, recovered, words];
}

function markdown(rows: readonly string[][]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(HEAD), line(HEAD.map(() => '---')), ...rows.map(line)].join('\n');
}

const program = new Command('test:faults')
  .description('Breaks real servers, Redis and LMDB, one case after another. Exit code 1 if a case does not hold.')
  .option('--only <names...>', 'these cases alone')
  .option('--short', 'the cases that `make test` runs', false)
  .option('--seed <number>', 'of every random choice', (text) => Number.parseInt(text, 10), 1)
  .option('--json', 'print the reports as JSON', false)
  .option('--markdown', 'print the table as docs/results/faults.md has it', false)
  .addHelpText('after', `\nCases:\n${table(CASES.map(({ name, about }) => [`  ${name}`, about]))}`)
  .action(async (flags: { only?: string[]; short: boolean; seed: number; json: boolean; markdown: boolean }) => {
    const unknown = flags.only?.filter((name) => !CASES.some((each) => each.name === name)) ?? [];
    if (unknown.length > 0) program.error(`unknown case: ${unknown.join(', ')}`, { exitCode: 2 });
    const chosen = CASES.filter(({ name, short }) => (flags.only?.includes(name) ?? true) && (!flags.short || short));
    let done = 0;
    const reports = await runCases(chosen, {
      seed: flags.seed,
      onReport: ({ name, state, seconds, reasons }) => {
        const words = reasons.length === 0 ? '' : `: ${reasons.join('; ')}`;
        console.error(`${++done}/${chosen.length}  ${state.padEnd(7)}  ${name}, ${seconds} s${words}`);
      },
    });
    const rows = reports.map(rowOf);
    if (flags.json) console.log(JSON.stringify({ machine: describeMachine(), seed: flags.seed, reports }, null, 2));
    else console.log(flags.markdown ? markdown(rows) : table([HEAD, ...rows]));
    process.exitCode = reports.some(({ state }) => state === 'fails') ? 1 : 0;
  });

await program.parseAsync();
