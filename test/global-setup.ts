/** Compiles src/ to dist/ once before any test: worker threads run compiled files, tests run the sources. */
import { execFileSync } from 'node:child_process';

export default function setup(): void {
  execFileSync('npx', ['tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
}
