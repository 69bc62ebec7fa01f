/** `blockstitch openapi`: prints the OpenAPI document, writes it to openapi/openapi.json, or checks that file. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { PACKAGE_DIR } from '../../config.js';
import { renderOpenApi } from '../../server/openapi-document.js';
import { openTerminal } from '../terminal.js';

export function addOpenApi(program: Command): void {
  program
    .command('openapi')
    .description('print the OpenAPI 3.1 document of the HTTP interface')
    .option('--write', 'write it to openapi/openapi.json', false)
    .option('--check', 'fail unless openapi/openapi.json is what the routes give', false)
    .action(async (flags: { write: boolean; check: boolean }) => {
      const terminal = openTerminal();
      const file = join(PACKAGE_DIR, 'openapi', 'openapi.json');
      const document = await renderOpenApi();
      if (flags.write) {
        await writeFile(file, document);
        terminal.note(`wrote ${file}`);
      } else if (flags.check) {
        const written = await readFile(file, 'utf8').catch(() => '');
        if (written !== document) {
          terminal.note(`error: ${file} is not what the routes give\n  Run npm run openapi.`);
          process.exitCode = 1;
        }
      } else terminal.write(document);
    });
}
