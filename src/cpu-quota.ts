/**
 * CPUs that this process may use: the CPUs of its affinity, cut to the quota of its control groups.
 * Node 20 does not read a container's CPU quota. Knows the files of cgroup v1 and v2; callers choose their own threads.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/** Reads a file of the process or of a control group; undefined if there is none. */
export type ReadText = (path: string) => string | undefined;

/** @returns whole CPUs, 1 or more */
export function usableCpus(read: ReadText = readText, affinity: number = availableParallelism()): number {
  const quota = cpuQuota(read);
  return Math.max(1, quota === undefined ? affinity : Math.min(affinity, Math.floor(quota)));
}

/**
 * The smallest CPU quota from the process's own control group up to the root.
 *
 * @returns CPUs, a fraction if the quota is one; undefined if there is no quota or it cannot be read
 * Linux: Documentation/admin-guide/cgroup-v2.rst (cpu.max), scheduler/sched-bwc.rst (cpu.cfs_quota_us).
 */
export function cpuQuota(read: ReadText): number | undefined {
  const groups = parseGroups(read('/proc/self/cgroup') ?? '');
  const mounts = parseMounts(read('/proc/self/mountinfo') ?? '');
  const quotas: number[] = [];
  for (const mount of mounts) {
    const group = groups.find((each) => (mount.version === 2 ? each.unified : each.controllers.includes('cpu')));
    if (!group) continue;
    for (const folder of foldersUpwards(mount, group.path)) {
      const quota = mount.version === 2 ? quotaV2(read, folder) : quotaV1(read, folder);
      if (quota !== undefined) quotas.push(quota);
    }
  }
  return quotas.length === 0 ? undefined : Math.min(...quotas);
}

interface Group {
  readonly unified: boolean;
  readonly controllers: readonly string[];
  readonly path: string;
}

interface Mount {
  readonly version: 1 | 2;
  /** The control group that stands at `point`; a container without its own namespace sees a path from the host here. */
  readonly root: string;
  readonly point: string;
}

/** Lines of /proc/self/cgroup: `0::/path` for v2, `4:cpu,cpuacct:/path` for v1. */
function parseGroups(text: string): Group[] {
  const groups: Group[] = [];
  for (const line of text.split('\n')) {
    const match = /^(\d+):([^:]*):(\/.*)$/.exec(line);
    if (!match) continue;
    const controllers = (match[2] ?? '').split(',').filter((name) => name !== '');
    groups.push({ unified: match[1] === '0' && controllers.length === 0, controllers, path: match[3] ?? '/' });
  }
  return groups;
}

/** Lines of /proc/self/mountinfo: `36 35 98:0 /root /point options ... - type source options`. */
function parseMounts(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const fields = before.split(' ');
    const [type, , options = ''] = after.split(' ');
    const place = { root: unescapePath(fields[3] ?? '/'), point: unescapePath(fields[4] ?? '/') };
    if (type === 'cgroup2') mounts.push({ version: 2, ...place });
    else if (type === 'cgroup' && options.split(',').includes('cpu')) mounts.push({ version: 1, ...place });
  }
  return mounts;
}

/** A space is written `\040` in mountinfo. */
function unescapePath(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
}

/** The group's own folder, then each above it up to the mount point. */
function foldersUpwards(mount: Mount, path: string): string[] {
  const inside = path === mount.root || path.startsWith(mount.root === '/' ? '/' : `${mount.root}/`);
  // A group outside the mount cannot be seen. The mount point is then the nearest visible one.
  const names = inside ? path.slice(mount.root === '/' ? 0 : mount.root.length).split('/') : [];
  const parts = names.filter((name) => name !== '' && name !== '..');
  return Array.from({ length: parts.length + 1 }, (_, up) => join(mount.point, ...parts.slice(0, parts.length - up)));
}

function quotaV2(read: ReadText, folder: string): number | undefined {
  const [quota = 'max', period = '100000'] = (read(join(folder, 'cpu.max')) ?? 'max').trim().split(/\s+/);
  return share(quota, period);
}

function quotaV1(read: ReadText, folder: string): number | undefined {
  return share(read(join(folder, 'cpu.cfs_quota_us')) ?? '-1', read(join(folder, 'cpu.cfs_period_us')) ?? '');
}

/** `max` and -1 mean no quota. */
function share(quota: string, period: string): number | undefined {
  const value = Number(quota) / Number(period);
  return value > 0 && Number.isFinite(value) ? value : undefined;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
