/**
 * Hard links from an import's directory to the checkpoint's files, so that the graph can use weights where they lie.
 * ONNX Runtime takes external data only from the graph's own directory; a hard link costs nothing and survives the
 * checkpoint's removal. Where the file system refuses one, the weights are copied instead.
 */
import { link, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * @param directory where the links go; links of an earlier attempt are replaced
 * @returns link names by file; empty when any file cannot be linked
 */
export async function linkCheckpointFiles(
  directory: string,
  files: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const links = new Map<string, string>();
  try {
    for (const [index, file] of files.entries()) {
      const name = `checkpoint-${String(index).padStart(3, '0')}.safetensors`;
      await rm(join(directory, name), { force: true });
      // Hub caches keep symbolic links: the link must be to the file itself.
      await link(await realpath(file), join(directory, name));
      links.set(file, name);
    }
    return links;
  } catch {
    // Another file system, or one without hard links, or a file that is not ours.
    for (const name of links.values()) await rm(join(directory, name), { force: true });
    return new Map();
  }
}
