/**
 * The page at /, on which one looks at blocks and asks. Serves its files (page/, built by build-page.mjs) and the sample
 * documents. The page itself is public; what it asks of /v1 needs a key like any other client's.
 *
 * The policy allows scripts, styles and connections of this server only, nothing inline, and no text that becomes script.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fastifyStatic } from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import { type Config, PACKAGE_DIR } from '../../config.js';
import { BlockstitchError } from '../../errors.js';
import { readSamples, type SampleDocument, samplesOf } from './sample-documents.js';

/** What `make build` wrote; tests run the sources, but serve these files too. */
export const PAGE_DIR = join(PACKAGE_DIR, 'dist', 'src', 'server', 'playground', 'page');

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types blockstitch',
].join('; ');

/** The page's requests are no clients' requests: they are not logged, and not part of the API. */
const quiet = { logLevel: 'warn', schema: { hide: true } } as const;

export async function playground(app: FastifyInstance, { model }: Pick<Config, 'model'>): Promise<void> {
  if (!existsSync(join(PAGE_DIR, 'index.html'))) {
    app.log.warn(`there is no playground in ${PAGE_DIR}: run make build`);
    return;
  }
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('content-security-policy', POLICY);
  });
  await app.register(fastifyStatic, { root: PAGE_DIR, prefix: '/playground/', index: false, logLevel: 'warn' });
  app.get('/', quiet, (_request, reply) => reply.sendFile('index.html'));
  app.get('/playground/samples.json', quiet, async () => samples(model));
}

/** None if the package was taken apart and has none: the page does without. */
async function samples(model: string): Promise<{ documents: SampleDocument[]; questions: string[] }> {
  try {
    const { documents, questions } = await readSamples(samplesOf(model), '--model');
    return { documents, questions: questions.map(({ question }) => question) };
  } catch (error) {
    if (error instanceof BlockstitchError) return { documents: [], questions: [] };
    throw error;
  }
}
