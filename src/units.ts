/** Sizes and times as people write them: `512MiB`, `30s`. Knows text and numbers; callers check limits. */

const BYTE_UNITS: Record<string, number> = {
  '': 1,
  b: 1,
  k: 1024,
  kb: 1e3,
  kib: 1024,
  m: 1024 ** 2,
  mb: 1e6,
  mib: 1024 ** 2,
  g: 1024 ** 3,
  gb: 1e9,
  gib: 1024 ** 3,
  t: 1024 ** 4,
  tb: 1e12,
  tib: 1024 ** 4,
};

const TIME_UNITS: Record<string, number> = { '': 1, ms: 1, s: 1e3, m: 60e3, min: 60e3, h: 3_600e3, d: 86_400e3 };

/** @returns whole bytes; undefined if `text` is not a size */
export function parseBytes(text: string): number | undefined {
  return parseQuantity(text, BYTE_UNITS);
}

/** @returns whole milliseconds; undefined if `text` is not a time */
export function parseMilliseconds(text: string): number | undefined {
  return parseQuantity(text, TIME_UNITS);
}

/** `8388608` as `8 MiB`: the largest binary unit that keeps at most one decimal. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (value < 1024) return `${Number(value.toFixed(1))} ${unit}`;
    value /= 1024;
  }
  return `${Number(value.toFixed(1))} TiB`;
}

/** `1234.5` ms as `1.23 s`, `12.3` as `12.3 ms`. */
export function formatMilliseconds(ms: number): string {
  return ms < 1000 ? `${Number(ms.toPrecision(3))} ms` : `${Number((ms / 1000).toPrecision(3))} s`;
}

function parseQuantity(text: string, units: Record<string, number>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const factor = match ? units[(match[2] ?? '').toLowerCase()] : undefined;
  if (!match || factor === undefined) return undefined;
  return Math.round(Number(match[1]) * factor);
}

/** Reads a share of repair: `auto`, or a number from 0 to 1. @returns undefined for any other text */
export function parseRepair(text: string): number | 'auto' | undefined {
  if (text === 'auto') return text;
  const share = text.trim() === '' ? Number.NaN : Number(text);
  return share >= 0 && share <= 1 ? share : undefined;
}

/**
 * Reads a device: `cpu`, or GPUs by number, `cuda` (the first), `cuda:1`, `cuda:0,1`.
 *
 * @returns the GPUs' numbers, none for the CPU; undefined for any other text, or if a GPU is named twice
 */
export function parseDevice(text: string): number[] | undefined {
  if (text === 'cpu') return [];
  if (text === 'cuda') return [0];
  const list = /^cuda:(\d{1,3}(?:,\d{1,3})*)$/.exec(text)?.[1];
  const numbers = list?.split(',').map(Number);
  return numbers !== undefined && new Set(numbers).size === numbers.length ? numbers : undefined;
}
