/**
 * Makes docs/images/dashboard.png, `make dashboard`: the panels of docker/grafana's dashboard, drawn from what a real Prometheus answers
 * for their queries, over a minute and a half of requests to the demo model. No Grafana is needed; needs prometheus and Chromium.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { loadConfig, PACKAGE_DIR } from '../../dist/src/config.js';
import { startServer } from '../../dist/src/server/start-server.js';

const SECONDS = 90;
const STEP = 3;
const COLOURS = ['#3b6fd4', '#d9822b', '#2f9e6b', '#c0457a', '#7b5cc4', '#8a8f98', '#b0a02c', '#3aa7b5'];
const LATE = { width: 1320, height: 900 };

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-dashboard-'));
const settings = { port: 0, kvMemoryBytes: '48MiB', storeDir: join(directory, 'store') };
const server = await startServer(loadConfig(settings, {}));
await server.ready;
const port = await freePort();
writeFileSync(
  join(directory, 'prometheus.yaml'),
  JSON.stringify({
    global: { scrape_interval: '1s' },
    scrape_configs: [{ job_name: 'blockstitch', static_configs: [{ targets: [new URL(server.url).host] }] }],
  }),
);
const prometheus = spawn(
  'prometheus',
  [
    `--config.file=${directory}/prometheus.yaml`,
    `--storage.tsdb.path=${directory}/tsdb`,
    `--web.listen-address=127.0.0.1:${port}`,
  ],
  { stdio: 'ignore' },
);
prometheus.on('error', () => fail('prometheus is needed: apt-get install prometheus'));

try {
  const until = Date.now() + SECONDS * 1000;
  const readers = Array.from({ length: 4 }, (_, reader) => ask(reader, until));
  await Promise.all(readers);
  const { panels } = JSON.parse(readFileSync(join(PACKAGE_DIR, 'docker/grafana/dashboards/blockstitch.json'), 'utf8'));
  const shown = [];
  for (const panel of panels.filter(({ type, id }) => type === 'timeseries' && id <= 22)) {
    shown.push({ ...panel, series: (await Promise.all(panel.targets.map(series))).flat() });
  }
  await draw(shown);
} finally {
  prometheus.kill();
  await server.close(0);
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
}

/** A client that asks over documents of a small corpus, some of them new. */
async function ask(reader, until) {
  for (let turn = 0; Date.now() < until; turn += 1) {
    const documents = [0, 1, 2].map((each) => textOf((turn * (each + 1) + reader * 7) % (24 + Math.floor(turn / 3))));
    const body = {
      messages: [{ role: 'user', content: 'Where is Zokego held?' }],
      documents,
      max_tokens: 12,
      stream: true,
    };
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    await response.text();
    await pause(40 * reader);
  }
}

function textOf(number) {
  return Array.from({ length: 12 }, (_, at) => `Zokego ${number}-${at} is held in Limoga, near the river. `).join('');
}

/** What Prometheus answers for one query of a panel. */
async function series({ expr, legendFormat = '' }) {
  const query = expr.replaceAll('$__rate_interval', '15s').replaceAll('$model', '.*').replaceAll('[1h]', '[1m]');
  const end = Date.now() / 1000;
  const parameters = new URLSearchParams({
    query,
    start: String(end - SECONDS + 10),
    end: String(end),
    step: String(STEP),
  });
  const answer = await (await fetch(`http://127.0.0.1:${port}/api/v1/query_range?${parameters}`)).json();
  if (answer.status !== 'success') throw new Error(`${query}: ${answer.error}`);
  return answer.data.result.map(({ metric, values }) => ({
    name: legendFormat.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => metric[label] ?? ''),
    points: values.map(([time, value]) => [time, Number(value)]).filter(([, value]) => Number.isFinite(value)),
  }));
}

async function draw(panels) {
  const html = `<!doctype html><meta charset="utf-8"><style>
    body { font: 13px/1.35 Inter, sans-serif; margin: 20px; background: #f6f7f9; color: #20242c; }
    main { display: grid; grid-template-columns: repeat(4, 1fr); gap: 12px; }
    section { background: #fff; border: 1px solid #e1e4ea; border-radius: 6px; padding: 10px 12px; }
    h2 { font-size: 13px; font-weight: 600; margin: 0 0 6px; } svg { width: 100%; height: 120px; display: block; }
    ul { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 10px; margin: 4px 0 0; padding: 0; font-size: 11px; color: #59606d; }
    li::before { content: ''; display: inline-block; width: 8px; height: 3px; margin-right: 4px; vertical-align: 3px; background: var(--c); }
    text { font-size: 10px; fill: #7a818d; }
  </style><main>${panels.map(section).join('')}</main>`;
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args });
  const page = await browser.newPage({ viewport: LATE });
  await page.setContent(html);
  const path = join(PACKAGE_DIR, 'docs', 'images', 'dashboard.png');
  await page.screenshot({ path, fullPage: true });
  await browser.close();
  console.log(path);
}

function section({ title, series: lines, fieldConfig }) {
  const [width, height, left, bottom] = [300, 120, 44, 14];
  const points = lines.flatMap((line) => line.points);
  const [from, to] = [Math.min(...points.map(([time]) => time)), Math.max(...points.map(([time]) => time))];
  const most = Math.max(...points.map(([, value]) => value), 0) || 1;
  const x = (time) => left + ((time - from) / Math.max(1, to - from)) * (width - left - 4);
  const y = (value) => 6 + (1 - value / most) * (height - bottom - 6);
  const unit = fieldConfig?.defaults?.unit;
  const grid = [0, 0.5, 1].map(
    (part) => `<line x1="${left}" x2="${width}" y1="${y(part * most)}" y2="${y(part * most)}" stroke="#eceff3"/>
      <text x="${left - 4}" y="${y(part * most) + 3}" text-anchor="end">${label(part * most, unit)}</text>`,
  );
  const paths = lines.map((line, at) => {
    const d = line.points
      .map(([time, value], step) => `${step === 0 ? 'M' : 'L'}${x(time).toFixed(1)} ${y(value).toFixed(1)}`)
      .join('');
    return `<path d="${d}" fill="none" stroke="${COLOURS[at % COLOURS.length]}" stroke-width="1.6"/>`;
  });
  const names = lines.map(({ name }, at) => `<li style="--c:${COLOURS[at % COLOURS.length]}">${name}</li>`);
  return `<section><h2>${title}</h2><svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none">${grid.join('')}${paths.join('')}</svg>
    <ul>${names.join('')}</ul></section>`;
}

function label(value, unit) {
  if (unit === 's')
    return value < 1 ? `${Number((value * 1000).toPrecision(2))} ms` : `${Number(value.toPrecision(2))} s`;
  if (unit === 'percentunit') return `${Math.round(value * 100)}%`;
  const scaled = value >= 1e6 ? [value / 1e6, 'M'] : value >= 1e3 ? [value / 1e3, 'k'] : [value, ''];
  return `${Number(scaled[0].toPrecision(2))}${scaled[1]}`;
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port: free } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return free;
}

function fail(reason) {
  console.error(`error: ${reason}`);
  process.exit(1);
}
