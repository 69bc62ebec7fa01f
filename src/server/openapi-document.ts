/** The OpenAPI document as a file: made from the routes, without a model and without listening. */
import { loadConfig } from '../config.js';
import { buildApp } from './app.js';
import { Lifecycle } from './lifecycle.js';
import { ServerMetrics } from './metrics/server-metrics.js';

/** @returns JSON text with a final line break; the same routes give the same text in any environment */
export async function renderOpenApi(): Promise<string> {
  const app = await buildApp({
    config: loadConfig({}, {}),
    lifecycle: new Lifecycle(),
    metrics: new ServerMetrics('openapi'),
  });
  await app.ready();
  const document = `${JSON.stringify(app.swagger(), null, 2)}\n`;
  await app.close();
  return document;
}
