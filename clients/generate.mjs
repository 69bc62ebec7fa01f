/**
 * Makes both clients' generated parts from openapi/openapi.json: `make clients`. What is written by hand stands beside them.
 *
 *     node clients/generate.mjs [--out DIR]     with DIR the parts go there: DIR/typescript and DIR/python
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const ROOT = dirname(import.meta.dirname);
const DOCUMENT = join(ROOT, 'openapi', 'openapi.json');
const { values } = parseArgs({ options: { out: { type: 'string' } } });
const at = (language, inside) =>
  values.out === undefined ? join(ROOT, 'clients', language, inside) : join(resolve(values.out), language);

typescript(at('typescript', 'src/generated'));
python(at('python', 'src/blockstitch_client/generated'));

function typescript(folder) {
  const generator = join(ROOT, 'clients/typescript/node_modules/.bin/openapi-typescript');
  if (!existsSync(generator)) fail(`${generator} is missing: run make clients`);
  mkdirSync(folder, { recursive: true });
  run(generator, [DOCUMENT, '--output', join(folder, 'schema.ts'), '--root-types', '--root-types-no-schema-prefix']);
}

function python(folder) {
  const interpreter = process.env.BLOCKSTITCH_PYTHON ?? join(ROOT, 'training/.venv/bin/python');
  const generator = join(dirname(interpreter), 'openapi-python-client');
  if (!existsSync(generator)) fail(`${generator} is missing: run make clients`);
  const config = join(ROOT, 'clients/python/openapi-client.yml');
  mkdirSync(dirname(folder), { recursive: true });
  const argv = ['generate', '--path', DOCUMENT, '--meta', 'none', '--config', config, '--output-path', folder];
  run(generator, [...argv, '--overwrite', '--fail-on-warning']);
}

/** The generators' own tools stand beside them. */
function run(command, argv) {
  const env = { ...process.env, PATH: `${dirname(command)}${delimiter}${process.env.PATH}` };
  const { status, stdout, stderr } = spawnSync(command, argv, { encoding: 'utf8', env });
  if (status !== 0) fail(`${command} ended with ${status}\n${stdout}${stderr}`);
}

function fail(reason) {
  console.error(`error: ${reason}`);
  process.exit(1);
}
