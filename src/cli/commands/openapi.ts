/** `blockstitch openapi`: prints the OpenAPI document; writes it and the reference parts of docs/, or checks them. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { PACKAGE_DIR } from '../../config.js';
import { openTerminal } from '../terminal.js';

/** Pages with generated parts. */
const PAGES = ['docs/api.md', 'docs/metrics.md', 'docs/settings.md'];

export function addOpenApi(program: Command): void {
  program
    .command('openapi')
    .description('print the OpenAPI 3.1 document of the HTTP interface')
    .option('--write', 'write it to openapi/openapi.json, and the reference parts of docs/', false)
    .option('--check', 'fail unless the files are what the program gives', false)
    .action(async (flags: { write: boolean; check: boolean }) => {
      const terminal = openTerminal();
      const { renderOpenApi } = await import('../../server/openapi-document.js');
      const document = await renderOpenApi();
      if (!flags.write && !flags.check) return terminal.write(document);
      for (const [name, content] of await generatedFiles(document)) {
        const file = join(PACKAGE_DIR, name);
        if (flags.write) {
          await writeFile(file, content);
          terminal.note(`wrote ${file}`);
        } else if (content !== (await readFile(file, 'utf8').catch(() => ''))) {
          terminal.note(`error: ${file} is not what the program gives\n  Run npm run openapi.`);
          process.exitCode = 1;
        }
      }
    });
}

/** Name and content of each file. Pages of docs/ are not part of a package that was installed. */
async function generatedFiles(document: string): Promise<[string, string][]> {
  const { referenceParts, withReference } = await import('../../server/reference.js');
  const parts = await referenceParts(JSON.parse(document));
  const files: [string, string][] = [['openapi/openapi.json', document]];
  for (const name of PAGES) {
    const page = await readFile(join(PACKAGE_DIR, name), 'utf8').catch(() => undefined);
    if (page !== undefined) files.push([name, withReference(page, parts)]);
  }
  return files;
}
