/**
 * Hard links from an import's directory to the checkpoint's files, so that the graph uses the weights in place.
 * ONNX Runtime takes external data only from the graph's own directory. A hard link costs nothing and survives the
 * checkpoint's removal. If the file system refuses one, the weights are copied instead.
 */
import { link, realpath, rm } from 'node:fs/promises';
import { extname, join } from 'node:path';

/**
 * @param directory gets the links; links of an earlier attempt are replaced
 * @returns link names by file; empty if one of the files cannot be linked
 */
export async function linkCheckpointFiles(
  directory: string,
  files: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const links = new Map<string, string>();
  try {
    for (const [index, file] of files.entries()) {
      const name = `checkpoint-${String(index).padStart(3, '0')}${extname(file)}`;
      await rm(join(directory, name), { force: true });
      // Hub caches keep symbolic links, but the hard link must lead to the file itself.
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
