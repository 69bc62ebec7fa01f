/**
 * Compiles src/ to dist/ once before any test: worker threads run compiled files, and so do browsers; tests run the sources.
 * Type errors are shown but do not stop the tests: `npm run types` is the check that fails on them.
 */
import { spawnSync } from 'node:child_process';

export default function setup(): void {
  const { stdout } = spawnSync('npm', ['run', '--silent', 'build:ts'], { encoding: 'utf8' });
  if (stdout) console.warn(stdout);
}
