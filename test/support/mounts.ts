/** Small file systems in memory, if this process may mount them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Mounts a small file system; undefined if this process may not. */
export function smallDisk(megabytes: number): string | undefined {
  const path = mkdtempSync(join(tmpdir(), 'blockstitch-small-disk-'));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path]);
  if (status !== 0) rmSync(path, { recursive: true });
  return status === 0 ? path : undefined;
}

/** @param lazily files may still be open */
export function removeDisk(disk: string, { lazily = true } = {}): void {
  spawnSync('umount', lazily ? ['-l', disk] : [disk]);
  rmSync(disk, { recursive: true, force: true });
}

/** Writes until nothing more fits. @returns the file, to be deleted for room */
export function fillDisk(disk: string): string {
  const filler = join(disk, 'filler');
  for (const size of ['64k', '4k']) {
    spawnSync('dd', ['if=/dev/zero', `of=${filler}`, `bs=${size}`, 'oflag=append', 'conv=notrunc']);
  }
  return filler;
}

export const mayMount = (() => {
  const disk = smallDisk(1);
  if (disk !== undefined) removeDisk(disk, { lazily: false });
  return disk !== undefined;
})();
