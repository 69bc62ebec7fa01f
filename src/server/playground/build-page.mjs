/**
 * Makes dist/src/server/playground/page, which the server serves at /: the page's modules compiled one by one, its HTML and
 * CSS as they are, and pdf.js, which the page loads when somebody opens a PDF. No bundler. Run by `npm run build:ts`.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..', '..');
const page = join(here, 'page');
const out = join(root, 'dist', 'src', 'server', 'playground', 'page');
const require = createRequire(import.meta.url);

const { status } = spawnSync('npx', ['tsc', '-p', page], { cwd: root, stdio: 'inherit' });
mkdirSync(out, { recursive: true });
for (const name of readdirSync(page).filter((each) => /\.(html|css|svg)$/.test(each))) {
  cpSync(join(page, name), join(out, name));
}

// The build for older browsers: the other one needs functions of this year's. CMaps are for PDFs in Chinese, Japanese, Korean.
const pdfjs = dirname(require.resolve('pdfjs-dist/package.json'));
for (const [from, to] of [
  ['legacy/build/pdf.min.mjs', 'pdf.min.mjs'],
  ['legacy/build/pdf.worker.min.mjs', 'pdf.worker.min.mjs'],
  ['cmaps', 'cmaps'],
  ['LICENSE', 'LICENSE'],
]) {
  cpSync(join(pdfjs, from), join(out, 'pdfjs', to), { recursive: true });
}
process.exitCode = status ?? 1;
