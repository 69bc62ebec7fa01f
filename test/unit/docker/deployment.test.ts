/**
 * Checks of docker/ that need no Docker engine: files parse, the names in them exist, the dashboard's queries are
 * PromQL over metrics of the server, and every metric of the server is on the dashboard. Images are not built here.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parser } from '@prometheus-io/lezer-promql';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { loadConfig, PACKAGE_DIR, SETTINGS } from '../../../src/config.js';
import { ServerMetrics } from '../../../src/server/metrics/server-metrics.js';
import { parseMilliseconds } from '../../../src/units.js';

const ROOT = join(PACKAGE_DIR, 'docker');
const ENVIRONMENT = new Set(Object.values(SETTINGS).map(({ env }) => env));
const DOCKERFILES = readdirSync(ROOT).filter((name) => name.startsWith('Dockerfile'));
const YAML = (readdirSync(ROOT, { recursive: true }) as string[]).filter((name) => name.endsWith('.yaml'));

interface Dashboard {
  uid: string;
  panels: {
    id: number;
    type: string;
    title: string;
    targets?: { expr: string }[];
    gridPos: Record<'x' | 'y' | 'w', number>;
  }[];
}
const dashboard = JSON.parse(read('grafana/dashboards/blockstitch.json')) as Dashboard;
const queries = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

function read(name: string): string {
  return readFileSync(join(ROOT, name), 'utf8');
}

// biome-ignore lint/suspicious/noExplicitAny: files of as many shapes as there are tools; each test names what it reads
type Parsed = any;

/** The parsed documents of a YAML file; fails on anything that YAML does not allow. */
function documents(name: string): Parsed[] {
  return parseAllDocuments(read(name)).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS() as unknown;
  });
}

/** Names of the metrics as Prometheus stores them. */
async function served(): Promise<{ names: Set<string>; all: Set<string> }> {
  const names = new Set<string>();
  const all = new Set<string>();
  for (const { name, type } of await new ServerMetrics('m').registry.getMetricsAsJSON()) {
    names.add(name);
    const histogram = String(type) === 'histogram';
    for (const suffix of histogram ? ['_bucket', '_sum', '_count'] : ['']) all.add(`${name}${suffix}`);
  }
  return { names, all };
}

/** Names of the metrics in a query; fails where the query is not PromQL. */
function metricsOf(query: string): string[] {
  const found: string[] = [];
  const expanded = query.replaceAll('$__rate_interval', '1m').replaceAll('$model', '.*');
  parser.parse(expanded).iterate({
    enter: ({ type, from, to }) => {
      expect(type.isError, `${query} at ${from}`).toBe(false);
      if (type.name === 'VectorSelector') {
        found.push(/^[\w:]+/.exec(expanded.slice(from, to))?.[0] ?? '');
      }
    },
  });
  return found;
}

describe('the dashboard', () => {
  test('asks only for metrics that the server has', async () => {
    const { all } = await served();
    expect(queries.length).toBeGreaterThan(20);
    for (const name of queries.flatMap(metricsOf)) expect(all).toContain(name);
  });

  test('shows every metric of ours', async () => {
    const { names } = await served();
    const shown = new Set(queries.flatMap(metricsOf).map((name) => name.replace(/_(bucket|sum|count)$/, '')));
    const ours = [...names].filter((name) => name.startsWith('blockstitch:'));
    expect(ours.filter((name) => !shown.has(name))).toEqual([]);
  });

  test('has panels of their own id, titled, side by side', () => {
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    for (const { title, gridPos } of dashboard.panels) {
      expect(title).not.toBe('');
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
    }
  });
});

test("metrics have vLLM's names where vLLM has the thing", async () => {
  const { names } = await served();
  const gauges = ['num_requests_running', 'num_requests_waiting', 'kv_cache_usage_perc'];
  const counters = [
    'prefix_cache_queries',
    'prefix_cache_hits',
    'prompt_tokens',
    'generation_tokens',
    'num_preemptions',
    'request_success',
  ].map((name) => `${name}_total`);
  const histograms = [
    'time_to_first_token_seconds',
    'inter_token_latency_seconds',
    'e2e_request_latency_seconds',
    'request_queue_time_seconds',
    'request_prefill_time_seconds',
    'request_decode_time_seconds',
    'request_prompt_tokens',
    'request_generation_tokens',
  ];
  for (const name of [...gauges, ...counters, ...histograms]) expect(names).toContain(`blockstitch:${name}`);
  const byTier = ['block_hits', 'tier_hits', 'tier_misses', 'tier_loaded_bytes', 'tier_load_seconds'];
  for (const name of byTier) expect(names).toContain(`blockstitch:${name}_total`);
  expect(names).toContain('blockstitch:block_misses_total');
});

test('alerts are PromQL over metrics that exist', async () => {
  const { all } = await served();
  const [{ groups }] = documents('prometheus/alerts.yaml');
  const rules = groups.flatMap((group: { rules: object[] }) => group.rules) as { alert: string; expr: string }[];
  expect(rules.length).toBeGreaterThan(0);
  for (const name of rules.flatMap(({ expr }) => metricsOf(expr))) {
    if (name !== 'up') expect(all).toContain(name);
  }
});

test.each(YAML)('%s is YAML', (name) => {
  for (const document of documents(name)) expect(document).toBeTypeOf('object');
});

test.each(DOCKERFILES)('%s copies what exists and sets what the server reads', (name) => {
  const lines = read(name)
    .replace(/\\\n\s*/g, ' ')
    .split('\n');
  const stages = new Set<string>();
  for (const line of lines) {
    const [instruction, ...words] = line.trim().split(/\s+/);
    if (instruction === 'FROM') stages.add(words.at(-1) ?? '');
    if (instruction === 'COPY') {
      const from = words.find((word) => word.startsWith('--from='))?.slice('--from='.length);
      const sources = words.filter((word) => !word.startsWith('--')).slice(0, -1);
      // What another stage built is that stage's business; an image's name holds a colon.
      if (from !== undefined) expect(stages.has(from) || from.includes(':')).toBe(true);
      else for (const source of sources) expect(existsSync(join(PACKAGE_DIR, source)), source).toBe(true);
    }
    if (instruction === 'ENV') {
      for (const word of words) {
        const [key = ''] = word.split('=');
        if (key.startsWith('BLOCKSTITCH_')) expect(ENVIRONMENT).toContain(key);
      }
    }
  }
  expect(lines.filter((line) => line.startsWith('USER ')).at(-1)).not.toMatch(/root/);
});

describe('compose', () => {
  const [compose] = documents('compose.yaml');

  test('mounts, builds and sets what exists', () => {
    for (const [name, service] of Object.entries<Parsed>(compose.services)) {
      if (service.build) expect(existsSync(resolve(ROOT, service.build.context, service.build.dockerfile))).toBe(true);
      else expect(service.image, name).toMatch(/:[\w.-]+$/);
      for (const volume of service.volumes ?? []) {
        const [source] = String(volume).split(':') as [string];
        if (source.startsWith('.')) expect(existsSync(resolve(ROOT, source)), source).toBe(true);
        else expect(compose.volumes).toHaveProperty(source);
      }
    }
    for (const key of Object.keys(compose.services.server.environment)) expect(ENVIRONMENT).toContain(key);
    const { server, redis, prometheus, grafana } = compose.services;
    for (const service of [server, redis, prometheus, grafana]) expect(service).toBeDefined();
  });

  test('on a GPU differs by image, memory and device only, all of which exist', () => {
    const [{ services }] = documents('compose.gpu.yaml');
    expect(Object.keys(services)).toEqual(['server']);
    const { build, environment, deploy } = services.server;
    expect(existsSync(resolve(ROOT, compose.services.server.build.context, build.dockerfile))).toBe(true);
    expect(read('Dockerfile.cuda')).toMatch(/BLOCKSTITCH_DEVICE=cuda\b/);
    for (const key of Object.keys(environment)) expect(ENVIRONMENT).toContain(key);
    expect(loadConfig({}, environment).kvMemoryBytes).toBe(0);
    expect(deploy.resources.reservations.devices[0].capabilities).toEqual(['gpu']);
  });

  test("gives a server more time to stop than its answers get, and Redis' blocks a time to live", () => {
    const { stop_grace_period: grace, environment } = compose.services.server;
    expect(parseMilliseconds(grace)).toBeGreaterThan(SETTINGS.drainMs.default);
    expect(parseMilliseconds(environment.BLOCKSTITCH_REDIS_TTL)).toBeGreaterThan(0);
  });

  test('Grafana finds the datasource and the dashboard where they are mounted', () => {
    const [{ datasources }] = documents('grafana/provisioning/datasources/prometheus.yaml');
    expect(datasources[0].url).toBe('http://prometheus:9090');
    const [{ providers }] = documents('grafana/provisioning/dashboards/blockstitch.yaml');
    const mounts = compose.services.grafana.volumes.map((volume: string) => volume.split(':')[1]);
    expect(mounts).toContain(providers[0].options.path);
    expect(dirname(compose.services.grafana.environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH)).toBe(
      providers[0].options.path,
    );
    const [{ scrape_configs: scrapes }] = documents('prometheus/prometheus.yaml');
    expect(scrapes[0].static_configs[0].targets).toEqual(['server:8080']);
  });
});

test('Kubernetes: settings are settings, probes are routes, a pod outlives its drain', () => {
  const objects = documents('k8s/blockstitch.yaml');
  const ofKind = (kind: string) => objects.find((object) => object.kind === kind);
  const { data } = ofKind('ConfigMap');
  for (const key of Object.keys(data)) expect(ENVIRONMENT).toContain(key);
  const config = loadConfig({}, data);
  const { spec } = ofKind('Deployment').spec.template;
  expect(spec.terminationGracePeriodSeconds * 1000).toBeGreaterThan(config.drainMs);
  const [container] = spec.containers;
  const values = container.env.map(({ value }: { value?: string }) => value ?? '').join();
  for (const { name } of container.env) expect(ENVIRONMENT.has(name) || values.includes(`$(${name})`), name).toBe(true);
  const paths = ['startupProbe', 'readinessProbe', 'livenessProbe'].map((probe) => container[probe].httpGet.path);
  expect(paths).toEqual(['/ready', '/ready', '/health']);
  const [redis] = documents('k8s/redis.yaml');
  const { value: redisUrl } = container.env.find(({ name }: { name: string }) => name === 'REDIS_URL');
  expect(new URL(redisUrl).hostname).toBe(redis.metadata.name);
  const preStop = container.lifecycle.preStop.sleep.seconds;
  expect((spec.terminationGracePeriodSeconds - preStop) * 1000).toBeGreaterThan(config.drainMs);
  expect(ofKind('Service').spec.selector).toEqual(ofKind('Deployment').spec.selector.matchLabels);
});

test('Kubernetes: no pod has rights that it does not need, and each is reached by those it serves only', () => {
  const objects = [...documents('k8s/blockstitch.yaml'), ...documents('k8s/redis.yaml')];
  const pods = objects.filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
  expect(pods).toHaveLength(2);
  for (const { metadata, spec } of pods) {
    const pod = spec.template.spec;
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(pod.automountServiceAccountToken).toBe(false);
    for (const container of [...(pod.initContainers ?? []), ...pod.containers]) {
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(container.resources.limits.memory).toBeDefined();
    }
    const policy = objects.find(
      ({ kind, spec }) => kind === 'NetworkPolicy' && spec.podSelector.matchLabels.app === metadata.name,
    );
    expect(policy.spec.policyTypes).toEqual(['Ingress', 'Egress']);
    expect(policy.spec.ingress.every(({ from }: Parsed) => from?.length > 0)).toBe(true);
  }
});
