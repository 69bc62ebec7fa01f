/** `blockstitch serve`: runs the server until a signal, or until the engine is given up, then drains. */
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
    .addHelpText(
      'after',
      `
API keys are read from BLOCKSTITCH_API_KEYS, --api-keys-file or --key-file (see blockstitch keys), never from a flag.
SIGHUP reads the key file again; so does a change of the file, within a second or two.
SIGINT and SIGTERM drain; a second signal of either kind ends the process at once.
Exit codes: 0 drained after a signal; 1 the model cannot be loaded, or the engine stayed down for --max-down;
2 wrong usage or settings, or an address that is taken.`,
    )
    .action(async () => {
      outliveReaders();
      const config = readSettings(command);
      const terminal = openTerminal();
      const stop = firstSignal();
      const { startServer } = await import('../../server/start-server.js');
      const server = await startServer(config, { logger: { level: config.logLevel } });
      terminal.note(`listening on ${server.url}, loading ${config.model}`);
      process.on('SIGHUP', () => {
        server.reloadKeys().then(
          () => terminal.note('SIGHUP: the key file has been read again'),
          (error: Error) => terminal.note(`SIGHUP: the keys stay as they were: ${error.message}`),
        );
      });
      const loaded = server.ready.then(() => {
        terminal.note(`ready: ${server.url}/docs`);
        if (config.playground === 'on') terminal.note(`playground: ${server.url}/`);
        return server.gaveUp;
      });
      const reason = await Promise.race([stop, loaded.then((why) => ({ why }))]).catch(async (error: unknown) => {
        await server.close(0);
        throw error;
      });
      if (typeof reason === 'string') terminal.note(`${reason}: draining`);
      else {
        terminal.note(`error: the engine stayed down for ${config.maxDownMs} ms (${reason.why}): draining`);
        process.exitCode = 1;
      }
      const aborted = await server.close(config.drainMs);
      if (aborted > 0) terminal.note(`${aborted} requests did not finish within ${config.drainMs} ms`);
    });
}

/** Whoever reads our lines may go (a closed terminal, a supervisor that starts anew): the server does not go with it. */
function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}

/** Resolves with the first signal that asks the process to end. A second one, of whichever kind, ends it at once. */
function firstSignal(): Promise<NodeJS.Signals> {
  let stopping = false;
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (!stopping) {
          stopping = true;
          resolve(signal);
          return;
        }
        // Without a listener the signal does what it does by default.
        process.removeAllListeners(signal);
        process.kill(process.pid, signal);
      });
    }
  });
}
