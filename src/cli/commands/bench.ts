/** `blockstitch bench NAME`: hands over to the bench runner in a process of its own. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { PACKAGE_DIR } from '../../config.js';
import { openTerminal } from '../terminal.js';

export function addBench(program: Command): void {
  program
    .command('bench')
    .description('run a benchmark; without a name, list them')
    .argument('[name]', 'without it, the names are listed')
    .option('--json', 'print the report as JSON', false)
    .option('--quick', 'smaller and fewer runs, not for quoting', false)
    .option('--data <file>', 'JSONL rows with documents, for the benches that take texts')
    .option('--plot <file>', 'an SVG of the figures, for the benches that draw one')
    .action(
      async (name: string | undefined, flags: { json: boolean; quick: boolean; data?: string; plot?: string }) => {
        const runner = join(PACKAGE_DIR, 'dist', 'bench', 'main.js');
        if (!existsSync(runner)) {
          openTerminal().note(`error: ${runner} is missing\n  Run make build.`);
          process.exitCode = 1;
          return;
        }
        const argv = name === undefined ? ['--help'] : [name];
        if (flags.json) argv.push('--json');
        if (flags.quick) argv.push('--quick');
        if (flags.plot !== undefined) argv.push('--plot', flags.plot);
        if (flags.data !== undefined) argv.push('--data', flags.data);
        process.exitCode = await run(runner, argv);
      },
    );
}

function run(file: string, argv: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [file, ...argv], { stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}
