/**
 * A file that is there whole or not at all: written aside, brought to the disk, then renamed. What is no file (a pipe, a
 * device) is written to as it is. Knows files, and nothing of what stands in them.
 */
import { once } from 'node:events';
import { open, rename, rm, stat } from 'node:fs/promises';
import { BlockstitchError } from '../../errors.js';

export interface Output {
  /** Resolves when the system has taken the bytes. @throws BlockstitchError `config_invalid` with the system's reason */
  write(bytes: Uint8Array): Promise<void>;
}

/**
 * Runs something that writes a file. The file has its name only once everything is on the disk.
 *
 * @throws BlockstitchError `config_invalid` naming the file if it cannot be written; what had the name before stays
 */
export async function withOutputFile<T>(file: string, work: (output: Output) => Promise<T>): Promise<T> {
  const isFile = await stat(file).then(
    (facts) => facts.isFile(),
    () => true,
  );
  const path = isFile ? `${file}.part` : file;
  const refused = (cause: Error) => {
    throw new BlockstitchError('config_invalid', { setting: file, reason: cause.message }, { cause });
  };
  const handle = await open(path, 'w', 0o600).catch(refused);
  try {
    const result = await work({ write: (bytes) => handle.writeFile(bytes).catch(refused) });
    // A pipe has nothing to bring to a disk.
    if (isFile) await handle.sync().catch(refused);
    await handle.close().catch(refused);
    if (isFile) await rename(path, file).catch(refused);
    return result;
  } finally {
    await handle.close().catch(() => undefined);
    if (isFile) await rm(path, { force: true });
  }
}

/** Standard output, for a pipe. Whoever runs the process ends it when the reader leaves. */
export const standardOutput: Output = {
  write: async (bytes) => {
    if (!process.stdout.write(bytes)) await once(process.stdout, 'drain');
  },
};
