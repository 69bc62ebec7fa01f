/** A small file system for one test. */
import { onTestFinished } from 'vitest';
import { removeDisk, smallDisk } from './mounts.js';

export { fillDisk, mayMount } from './mounts.js';

/** A small file system for one test, without anything on it. */
export function emptyDisk(megabytes = 3): string {
  const disk = smallDisk(megabytes) as string;
  // Lazily: a store may still have its files open.
  onTestFinished(() => removeDisk(disk));
  return disk;
}
