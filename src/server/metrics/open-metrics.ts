/**
 * Metrics as OpenMetrics, which has exemplars: the trace behind a time. prom-client writes histograms so; where it writes
 * counters, it renames them for good, so their lines are taken from Prometheus' text, which differs in three ways: counters
 * are named without `_total` where they are described, no line is blank, and an end is marked.
 * Knows the two formats.
 */

/** What a scraper asks with that takes OpenMetrics. */
const OPEN_METRICS = /\bapplication\/openmetrics-text\b/;
const DESCRIBED = /^# (?:HELP|TYPE) (\S+)/;
const SUFFIX = /_(?:bucket|sum|count)$/;

export function takesOpenMetrics(accept: string | undefined): boolean {
  return accept !== undefined && OPEN_METRICS.test(accept);
}

/**
 * @param text in Prometheus' format
 * @param families in OpenMetrics, with the mark of the end: they stand in place of those of the same names in `text`
 */
export function asOpenMetrics(text: string, families: string): string {
  const replaced = new Set([...families.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
  const counters = new Set([...text.matchAll(/^# TYPE (\S+) counter$/gm)].map(([, name]) => name));
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    const described = DESCRIBED.exec(line)?.[1];
    const name = described ?? /^[^{\s]*/.exec(line)?.[0] ?? '';
    if (name === '' || replaced.has(name) || replaced.has(name.replace(SUFFIX, ''))) continue;
    lines.push(described !== undefined && counters.has(name) ? line.replace(name, name.replace(/_total$/, '')) : line);
  }
  return `${lines.join('\n')}\n${families}`;
}
