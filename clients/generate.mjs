/**
 * Makes both clients' generated parts from openapi/openapi.json: `make clients`. What is written by hand stands beside them.
 *
 *     node clients/generate.mjs [--out DIR] [--if-there]
 *
 * With DIR the parts go to DIR/typescript and DIR/python. With --if-there a generator that is not installed is no error.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const ROOT = dirname(import.meta.dirname);
const DOCUMENT = join(ROOT, 'openapi', 'openapi.json');
const { values } = parseArgs({ options: { out: { type: 'string' }, 'if-there': { type: 'boolean', default: false } } });
const at = (language, inside) =>
  values.out === undefined ? join(ROOT, 'clients', language, inside) : join(resolve(values.out), language);

typescript(at('typescript', 'src/generated'));
python(at('python', 'src/blockstitch_client/generated'));

function typescript(folder) {
  const generator = join(ROOT, 'clients/typescript/node_modules/.bin/openapi-typescript');
  if (isMissing(generator)) return;
  mkdirSync(folder, { recursive: true });
  run(generator, [DOCUMENT, '--output', join(folder, 'schema.ts'), '--root-types', '--root-types-no-schema-prefix']);
}

function python(folder) {
  const interpreter = process.env.BLOCKSTITCH_PYTHON ?? join(ROOT, 'training/.venv/bin/python');
  const generator = join(dirname(interpreter), 'openapi-python-client');
  if (isMissing(generator)) return;
  const config = join(ROOT, 'clients/python/openapi-client.yml');
  mkdirSync(dirname(folder), { recursive: true });
  const folderOfDocument = mkdtempSync(join(tmpdir(), 'blockstitch-openapi-'));
  const path = join(folderOfDocument, 'openapi.json');
  writeFileSync(path, withoutLines(readFileSync(DOCUMENT, 'utf8')));
  const argv = ['generate', '--path', path, '--meta', 'none', '--config', config, '--output-path', folder];
  run(generator, [...argv, '--overwrite', '--fail-on-warning']);
  rmSync(folderOfDocument, { recursive: true });
}

/** Without what speaks in lines of NDJSON: the generator knows no such bodies. */
function withoutLines(text) {
  const document = JSON.parse(text);
  for (const [path, methods] of Object.entries(document.paths)) {
    const speaksLines = Object.values(methods).some(
      ({ requestBody }) => requestBody?.content?.['application/x-ndjson'],
    );
    if (speaksLines) delete document.paths[path];
  }
  for (const name of Object.keys(document.components.schemas)) {
    if (!JSON.stringify(document).includes(`"#/components/schemas/${name}"`)) delete document.components.schemas[name];
  }
  return JSON.stringify(document);
}

function isMissing(generator) {
  if (existsSync(generator)) return false;
  const reason = `${generator} is missing: run make clients`;
  if (!values['if-there']) fail(reason);
  console.warn(`clients: ${reason}`);
  return true;
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
