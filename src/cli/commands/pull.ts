/** `blockstitch pull OWNER/NAME`: downloads a checkpoint from the Hugging Face hub. */
import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import { BlockstitchError } from '../../errors.js';
import { formatBytes } from '../../units.js';
import { addSettings, readSettings } from '../setting-options.js';
import { openTerminal } from '../terminal.js';

export function addPull(program: Command): void {
  const command = program
    .command('pull')
    .description('download a checkpoint from the Hugging Face hub; run again to go on after an interruption')
    .argument('<repository>', 'owner/name')
    .argument('[directory]', 'target directory; models/NAME if absent')
    .option('--revision <name>', 'branch, tag or commit', 'main')
    .option('--json', 'print the result as JSON', false)
    .addHelpText('after', '\nAn access token for gated checkpoints is read from HF_TOKEN.');
  addSettings(command, ['hubEndpoint']);
  command.action(
    async (repository: string, directory: string | undefined, flags: { revision: string; json: boolean }) => {
      if (!/^\w[\w.-]*\/\w[\w.-]*$/.test(repository)) {
        throw new BlockstitchError('config_invalid', {
          setting: 'repository',
          reason: `${repository} is not owner/name`,
        });
      }
      const config = readSettings(command);
      const terminal = openTerminal({ colours: !flags.json });
      const target = resolve(directory ?? `models/${basename(repository)}`);
      const { downloadCheckpoint } = await import('../hub-download.js');
      const bar = terminal.progress('downloading');
      try {
        const { files, fetchedBytes } = await downloadCheckpoint(
          { repository, revision: flags.revision, endpoint: config.hubEndpoint, token: config.hubToken },
          target,
          ({ doneBytes, totalBytes }) => bar.update(doneBytes, totalBytes),
        );
        bar.stop();
        if (flags.json) terminal.print(JSON.stringify({ directory: target, files, fetchedBytes }, null, 2));
        else terminal.print(`${target}: ${files.length} files, ${formatBytes(fetchedBytes)} fetched`);
      } finally {
        bar.stop();
      }
    },
  );
}
