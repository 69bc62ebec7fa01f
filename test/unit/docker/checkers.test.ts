/**
 * docker/ as the tools of its trade see it: hadolint, kubernetes-validate (both from training/requirements.txt) and promtool
 * (`make promtool`). A tool that is not there is a named skip.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { PACKAGE_DIR } from '../../../src/config.js';
import { pythonWithRequirements } from '../../support/demo-server.js';

const FOLDERS = [
  dirname(pythonWithRequirements() ?? ''),
  join(PACKAGE_DIR, 'build', 'promtool', 'usr', 'bin'),
  ...(process.env.PATH ?? '').split(delimiter),
];

test.for<[string, string[]]>([
  ['hadolint', ['docker/Dockerfile', 'docker/Dockerfile.cuda']],
  ['kubernetes-validate', ['--strict', 'docker/k8s/blockstitch.yaml', 'docker/k8s/redis.yaml']],
  ['promtool', ['check', 'config', '--lint=all', 'docker/prometheus/prometheus.yaml']],
  ['promtool', ['check', 'rules', '--lint=all', 'docker/prometheus/alerts.yaml']],
  ['promtool', ['test', 'rules', 'docker/prometheus/alerts.test.yaml']],
])('%s %j finds nothing', async ([tool, argv], { skip }) => {
  const program = FOLDERS.map((folder) => join(folder, tool)).find((path) => existsSync(path));
  if (program === undefined) return skip(`${tool} is not installed`);
  const said = await promisify(execFile)(program, argv, { cwd: PACKAGE_DIR }).catch((failed) => failed);
  expect(`${said.stdout}${said.stderr}`, said.message).not.toMatch(/error|warning|fail/i);
  expect(said.code ?? 0).toBe(0);
});
