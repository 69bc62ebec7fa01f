/** `blockstitch import`: converts a checkpoint into the import cache, so that the first `serve` starts at once. */
import type { Command } from 'commander';
import { importedActivations } from '../../config.js';
import { requantizationNotice } from '../../model/imported-model.js';
import { formatMilliseconds } from '../../units.js';
import { addSettings, readSettings } from '../setting-options.js';
import { openTerminal } from '../terminal.js';

export function addImport(program: Command): void {
  const command = program
    .command('import')
    .description('convert a checkpoint (Hugging Face directory or GGUF file) and keep the result in the import cache')
    .argument('[checkpoint]', 'directory, GGUF file or name; --model if absent')
    .option('--json', 'print the result as JSON', false);
  addSettings(command, ['model', 'adapter', 'weights', 'device', 'activations', 'importCacheDir', 'modelCacheDir']);
  command.action(async (directory: string | undefined, flags: { json: boolean }) => {
    const config = readSettings(command, directory === undefined ? {} : { model: directory });
    const terminal = openTerminal({ colours: !flags.json });
    const { importModel } = await import('../../model/import-model.js');
    const { checkCheckpoint } = await import('../checkpoint-check.js');
    const bar = terminal.progress('importing');
    const started = performance.now();
    let cached = false;
    try {
      // What serve would refuse, import refuses, before hours of work.
      const { notices } = await checkCheckpoint(config.model, config.adapter);
      for (const line of notices) terminal.note(`note: ${line}`);
      const model = await importModel({
        checkpointDir: config.model,
        ...(config.adapter === '' ? {} : { adapterDir: config.adapter }),
        weights: config.weights,
        activations: importedActivations(config),
        cacheDir: config.importCacheDir,
        ...(config.servedName === '' ? {} : { name: config.servedName }),
        onProgress: (progress) => {
          if (progress.phase === 'done') cached = progress.cached ?? false;
          else bar.update(progress.doneBytes, progress.totalBytes);
        },
      });
      bar.stop();
      if (flags.json) {
        terminal.print(JSON.stringify({ ...model, cached }, null, 2));
        return;
      }
      const took = cached ? 'was there already' : `took ${formatMilliseconds(performance.now() - started)}`;
      terminal.print(`${model.name}: ${model.config.family}, ${model.config.layers} layers, ${model.weights}, ${took}`);
      terminal.print(`  ${model.graphPath}`);
      const notice = requantizationNotice(model);
      if (notice !== undefined) terminal.note(`  ${notice}`);
    } finally {
      bar.stop();
    }
  });
}
