import { availableParallelism } from 'node:os';
import { describe, expect, test } from 'vitest';
import { cpuQuota, usableCpus } from '../../src/cpu-quota.js';

const V2_MOUNT = '30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n';
const V1_MOUNT =
  '35 24 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n' +
  '36 24 0:32 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n';

function tree(files: Record<string, string>) {
  return (path: string) => files[path];
}

describe('a quota of cgroup v2', () => {
  test('limits the CPUs that are used', () => {
    const read = tree({
      '/proc/self/cgroup': '0::/\n',
      '/proc/self/mountinfo': V2_MOUNT,
      '/sys/fs/cgroup/cpu.max': '200000 100000\n',
    });
    expect(cpuQuota(read)).toBe(2);
    expect(usableCpus(read, 64)).toBe(2);
  });

  test('is rounded down, since a thread more than the quota is throttled', () => {
    const read = tree({
      '/proc/self/cgroup': '0::/\n',
      '/proc/self/mountinfo': V2_MOUNT,
      '/sys/fs/cgroup/cpu.max': '350000 100000\n',
    });
    expect(usableCpus(read, 64)).toBe(3);
  });

  test('below one CPU still leaves one thread', () => {
    const read = tree({
      '/proc/self/cgroup': '0::/\n',
      '/proc/self/mountinfo': V2_MOUNT,
      '/sys/fs/cgroup/cpu.max': '50000 100000\n',
    });
    expect(cpuQuota(read)).toBe(0.5);
    expect(usableCpus(read, 64)).toBe(1);
  });

  test('of a group further up holds too', () => {
    const read = tree({
      '/proc/self/cgroup': '0::/kubepods/pod1/server\n',
      '/proc/self/mountinfo': V2_MOUNT,
      '/sys/fs/cgroup/kubepods/pod1/server/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/kubepods/pod1/cpu.max': '400000 100000\n',
      '/sys/fs/cgroup/kubepods/cpu.max': '1600000 100000\n',
    });
    expect(usableCpus(read, 64)).toBe(4);
  });

  test('is found where the container sees the path of its host', () => {
    const read = tree({
      '/proc/self/cgroup': '0::/docker/abc/app\n',
      '/proc/self/mountinfo': '30 24 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n',
      '/sys/fs/cgroup/cpu.max': '300000 100000\n',
      '/sys/fs/cgroup/app/cpu.max': '150000 100000\n',
    });
    expect(cpuQuota(read)).toBe(1.5);
  });

  test('is found where the process stands outside the mounted group', () => {
    const read = tree({
      '/proc/self/cgroup': '0::/../other\n',
      '/proc/self/mountinfo': '30 24 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n',
      '/sys/fs/cgroup/cpu.max': '300000 100000\n',
    });
    expect(cpuQuota(read)).toBe(3);
  });

  test('never gives more than the affinity allows', () => {
    const read = tree({
      '/proc/self/cgroup': '0::/\n',
      '/proc/self/mountinfo': V2_MOUNT,
      '/sys/fs/cgroup/cpu.max': '800000 100000\n',
    });
    expect(usableCpus(read, 4)).toBe(4);
  });
});

describe('a quota of cgroup v1', () => {
  const groups = '5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/\n';

  test('limits the CPUs that are used', () => {
    const read = tree({
      '/proc/self/cgroup': groups,
      '/proc/self/mountinfo': V1_MOUNT,
      '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us': '300000\n',
      '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us': '100000\n',
    });
    expect(usableCpus(read, 64)).toBe(3);
  });

  test('of -1 is none', () => {
    const read = tree({
      '/proc/self/cgroup': groups,
      '/proc/self/mountinfo': V1_MOUNT,
      '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us': '-1\n',
      '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us': '100000\n',
    });
    expect(usableCpus(read, 8)).toBe(8);
  });

  test('beside an unlimited v2 group is the one that holds', () => {
    const read = tree({
      '/proc/self/cgroup': groups,
      '/proc/self/mountinfo': `${V2_MOUNT}${V1_MOUNT}`,
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '200000\n',
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
    });
    expect(usableCpus(read, 64)).toBe(2);
  });
});

describe('without a quota', () => {
  test.each([
    ['no file can be read', {}],
    ['the quota is max', { '/sys/fs/cgroup/cpu.max': 'max 100000\n' }],
    ['the file is not what it should be', { '/sys/fs/cgroup/cpu.max': 'nonsense\n' }],
    ['the period is zero', { '/sys/fs/cgroup/cpu.max': '100000 0\n' }],
  ])('every CPU is used: %s', (_, files: Record<string, string>) => {
    const read = tree({ '/proc/self/cgroup': '0::/\n', '/proc/self/mountinfo': V2_MOUNT, ...files });
    expect(usableCpus(read, 8)).toBe(8);
    expect(usableCpus(tree(files), 8)).toBe(8);
  });
});

test('this machine gives one CPU or more, and never more than its affinity', () => {
  expect(usableCpus()).toBeGreaterThanOrEqual(1);
  expect(usableCpus()).toBeLessThanOrEqual(availableParallelism());
});
