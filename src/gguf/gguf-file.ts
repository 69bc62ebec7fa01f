/** Opens a GGUF file and reads its head. Reads as much of the file as the head takes, and no more than its limit. */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { standInReason } from '../stand-in-file.js';
import { type GgufHeader, MAX_HEAD_BYTES, parseGgufHeader, refuseGguf } from './gguf-header.js';

const FIRST_BYTES = 1024 * 1024;

/** Whether a checkpoint is one file, and so a GGUF file, or a directory. */
export async function isGgufPath(path: string): Promise<boolean> {
  if (/\.gguf$/i.test(path)) return true;
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/** @throws BlockstitchError `checkpoint_invalid` with the file and the fault */
export async function readGgufHeader(file: string): Promise<GgufHeader> {
  const handle = await openFile(file);
  try {
    const { size } = await handle.stat();
    for (let length = FIRST_BYTES; ; length *= 4) {
      const prefix = await readPrefix(handle, Math.min(length, size, MAX_HEAD_BYTES));
      const standIn = standInReason(prefix);
      if (standIn !== undefined) refuseGguf(file, standIn);
      const header = parseGgufHeader(file, prefix, size);
      if (header !== undefined) return header;
      if (prefix.byteLength < Math.min(length, size)) refuseGguf(file, 'it became shorter while it was read');
    }
  } finally {
    await handle.close();
  }
}

/** The first bytes of a file, fewer if it ends before. */
async function readPrefix(handle: FileHandle, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

async function openFile(file: string): Promise<FileHandle> {
  try {
    // Opening a pipe would wait for its writer.
    const isFile = (await stat(file)).isFile();
    if (isFile) return await open(file, 'r');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') refuseGguf(file, 'there is no such file', cause);
    refuseGguf(file, `it cannot be opened (${code})`, cause);
  }
  return refuseGguf(file, 'it is not a file');
}
