/**
 * Makes a directory and those above it, one by one. Node's own recursive mkdir never ends where a file system refuses
 * new directories as if they were missing (/proc). Knows paths only.
 */
import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** @throws Error of the file system, or one that says that the path is no directory */
export async function makeDirectory(path: string): Promise<void> {
  const missing: string[] = [];
  let at = resolve(path);
  for (let found = await kindOf(at); found !== 'directory'; found = await kindOf(at)) {
    if (found === 'other') throw new Error(`${at} is not a directory`);
    missing.unshift(at);
    at = dirname(at);
  }
  for (const directory of missing) {
    await mkdir(directory).catch((error: NodeJS.ErrnoException) => {
      // Another process may have made it meanwhile.
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

async function kindOf(path: string): Promise<'directory' | 'other' | 'missing'> {
  try {
    return (await stat(path)).isDirectory() ? 'directory' : 'other';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return 'missing';
    if (code === 'ENOTDIR') return 'missing';
    throw error;
  }
}
