/** `blockstitch doctor`: checks everything that the server needs, one line each, and says how to get a missing part. */
import { access, constants, statfs } from 'node:fs/promises';
import type { Command } from 'commander';
import { askRedis, connectRedis } from '../../cache/connect-redis.js';
import { LmdbFiles } from '../../cache/lmdb-files.js';
import type { Config } from '../../config.js';
import { missingRight } from '../../documents/redis-rights.js';
import { BlockstitchError } from '../../errors.js';
import { loadAddon } from '../../kernels/load-addon.js';
import { makeDirectory } from '../../make-directory.js';
import { requantizationNotice } from '../../model/imported-model.js';
import { loadRuntime } from '../../onnx-runtime.js';
import { formatBytes } from '../../units.js';
import { checkCheckpoint } from '../checkpoint-check.js';
import { addSettings, MODEL_SETTINGS, readSettings } from '../setting-options.js';
import { shellWords } from '../shell-words.js';
import { openTerminal } from '../terminal.js';

interface Check {
  name: string;
  /** @returns what was found. @throws Error that says what is wrong and what to do */
  run(config: Config): Promise<string>;
}

const REDIS_SETTINGS = ['redisUrl', 'redisMode', 'redisMaster', 'redisCa', 'redisCert', 'redisKey'] as const;
const LEAST_NODE = [20, 20] as const;

const CHECKS: readonly Check[] = [
  {
    name: 'Node',
    async run() {
      const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
      if (major > LEAST_NODE[0] || (major === LEAST_NODE[0] && minor >= LEAST_NODE[1])) return process.version;
      throw new Error(`${process.version}: install Node ${LEAST_NODE.join('.')} or newer`);
    },
  },
  { name: 'native kernels', run: async () => `${loadAddon().kernelLevel()} kernels` },
  {
    name: 'ONNX Runtime',
    async run() {
      const addon = loadAddon();
      await loadRuntime();
      if (addon.isOnnxRuntimeAttached()) return 'attached to the BlockAttention operator';
      throw new Error('onnxruntime-node does not see the addon: was it loaded before it? Run make build again');
    },
  },
  {
    name: 'model',
    async run({ model, adapter, weights }) {
      const { config, storedTypes, notices } = await checkCheckpoint(model, adapter);
      const { family, layers, maxPositions } = config;
      const requantized = requantizationNotice({ weights, storedTypes });
      const facts = `${model}${adapter === '' ? '' : ` with ${adapter}`}: ${family}, ${layers} layers, ${maxPositions} positions, ${storedTypes.join(', ')}`;
      const lines = [...notices, ...(requantized === undefined ? [] : [requantized])];
      return [facts, ...lines.map((line) => `     note: ${line}`)].join('\n');
    },
  },
  {
    name: 'store',
    async run(config) {
      const { storeDir } = config;
      if (config.redisUrl !== '') return pingRedis(config);
      await makeDirectory(storeDir);
      await access(storeDir, constants.W_OK);
      await new LmdbFiles(storeDir).check();
      const { bavail, bsize } = await statfs(storeDir);
      return `LMDB in ${storeDir}, ${formatBytes(bavail * bsize)} free`;
    },
  },
];

export function addDoctor(program: Command): void {
  const command = program.command('doctor').description('check Node, kernels, ONNX Runtime, model and store');
  addSettings(command, [...MODEL_SETTINGS, 'storeDir', ...REDIS_SETTINGS]);
  command.addHelpText('after', '\nExit code 1 when a check fails.').action(async () => {
    const config = readSettings(command);
    const terminal = openTerminal();
    for (const { name, run } of CHECKS) {
      try {
        terminal.print(`${terminal.colour('green', 'ok  ')} ${name}: ${await run(config)}`);
      } catch (error) {
        terminal.print(`${terminal.colour('red', 'FAIL')} ${name}: ${described(error)}`);
        process.exitCode = 1;
      }
    }
  });
}

function described(error: unknown): string {
  if (error instanceof BlockstitchError) {
    const { message, remedy } = shellWords(error);
    return `${message} ${remedy}`;
  }
  return error instanceof Error ? error.message : String(error);
}

async function pingRedis(config: Config): Promise<string> {
  const client = connectRedis(config);
  try {
    const answer = await askRedis(client, () => client.ping());
    const missing = await missingRight(client);
    const jobs =
      missing === undefined
        ? 'replicas share background ingestions'
        : `replicas share no background ingestions: ${missing}`;
    return `Redis answers ${answer}; ${jobs}`;
  } catch (cause) {
    throw new Error(`${(cause as Error).message}: check REDIS_URL`);
  } finally {
    client.disconnect();
  }
}
