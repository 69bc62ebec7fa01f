/** `blockstitch serve`: runs the server until SIGINT or SIGTERM, then drains. */
import type { Command } from 'commander';
import { SETTINGS, type SettingName } from '../../config.js';
import { addSettings, readSettings } from '../setting-options.js';
import { openTerminal } from '../terminal.js';

const NOT_SERVED: readonly SettingName[] = ['hubEndpoint', 'hubToken'];

export function addServe(program: Command): void {
  const command = program.command('serve').description('serve a model over HTTP, OpenAI-compatible');
  addSettings(
    command,
    (Object.keys(SETTINGS) as SettingName[]).filter((name) => !NOT_SERVED.includes(name)),
  );
  command
    .addHelpText('after', '\nAPI keys are read from BLOCKSTITCH_API_KEYS or --api-keys-file, never from a flag.')
    .action(async () => {
      const config = readSettings(command);
      const terminal = openTerminal();
      const stop = new Promise<string>((resolve) => {
        for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
      });
      const { startServer } = await import('../../server/start-server.js');
      const server = await startServer(config, { logger: { level: config.logLevel } });
      terminal.note(`listening on ${server.url}, loading ${config.model}`);
      const ended = await Promise.race([
        stop,
        server.ready
          .then(
            () => terminal.note(`ready: ${server.url}/docs`),
            (error: unknown) => Promise.reject(error),
          )
          .then(() => stop),
      ]).catch(async (error: unknown) => {
        await server.close(0);
        throw error;
      });
      terminal.note(`${ended}: draining`);
      const aborted = await server.close(config.drainMs);
      if (aborted > 0) terminal.note(`${aborted} requests did not finish within ${config.drainMs} ms`);
    });
}
