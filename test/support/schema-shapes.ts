/**
 * A hundred schemas in the shapes that public collections of JSON Schemas have (configuration files, cluster resources,
 * function calls, web events, records of news, forms, catalogues), in words of our own, each with values that fit it.
 */
type Schema = Readonly<Record<string, unknown>>;
export interface SchemaShape {
  name: string;
  schema: Schema;
  fitting: readonly unknown[];
}

const string: Schema = { type: 'string' };
const word: Schema = { type: 'string', pattern: '^[a-z][a-z0-9-]{0,11}$' };
const integer: Schema = { type: 'integer' };
const number: Schema = { type: 'number' };
const flag: Schema = { type: 'boolean' };
const none: Schema = { type: 'null' };
const port: Schema = { type: 'integer', minimum: 1, maximum: 65_535 };
const list = (items: Schema, rest: Schema = {}): Schema => ({ type: 'array', items, ...rest });
const one = (...values: readonly unknown[]): Schema => ({ enum: values });
const either = (...anyOf: readonly Schema[]): Schema => ({ anyOf });
const maybe = (schema: Schema): Schema => either(schema, none);
/** Names with `?` may be absent. Nothing else may be there. */
const closed = (fields: Readonly<Record<string, Schema>>): Schema => ({
  type: 'object',
  properties: Object.fromEntries(Object.entries(fields).map(([name, schema]) => [name.replace('?', ''), schema])),
  required: Object.keys(fields).filter((name) => !name.endsWith('?')),
  additionalProperties: false,
});
const open = (fields: Readonly<Record<string, Schema>>): Schema => {
  return { ...closed(fields), additionalProperties: true };
};
const map = (values: Schema): Schema => ({ type: 'object', additionalProperties: values });
const withDefs = ($defs: Readonly<Record<string, Schema>>, schema: Schema): Schema => ({ ...schema, $defs });
const ref = (name: string): Schema => ({ $ref: `#/$defs/${name}` });

const container = closed({ name: word, image: string, 'ports?': list(closed({ containerPort: port })) });
const labels = map(string);
const address = closed({ street: string, city: string, 'zip?': { type: 'string', pattern: '^\\d{5}$' } });
const price = closed({ amount: number, currency: one('EUR', 'USD', 'JPY') });

const SHAPES: readonly (readonly [string, Schema, ...unknown[]])[] = [
  // Configuration files.
  ['editor', closed({ tabWidth: integer, 'useTabs?': flag }), { tabWidth: 4 }, { tabWidth: 2, useTabs: true }],
  ['linter', closed({ rules: map(one('off', 'warn', 'error')) }), { rules: {} }, { rules: { quotes: 'warn' } }],
  ['log level', closed({ level: one('debug', 'info', 'warn') }), { level: 'info' }],
  ['server', closed({ host: string, port }), { host: 'localhost', port: 8080 }],
  [
    'retry',
    closed({ attempts: { type: 'integer', minimum: 0, maximum: 9 }, backoff: number }),
    { attempts: 3, backoff: 1.5 },
  ],
  ['feature flags', map(flag), {}, { search: true, beta: false }],
  ['paths', list(string, { minItems: 1 }), ['src'], ['src', 'test']],
  [
    'nested paths',
    closed({ compiler: closed({ paths: map(list(string)) }) }),
    { compiler: { paths: { '@/*': ['src/*'] } } },
  ],
  ['version or tag', either({ type: 'string', pattern: '^\\d+\\.\\d+\\.\\d+$' }, one('latest')), '1.20.3', 'latest'],
  ['theme', closed({ colours: map({ type: 'string', pattern: '^#[0-9a-f]{6}$' }) }), { colours: { back: '#00ff7a' } }],
  [
    'cron',
    closed({ minute: { type: 'integer', minimum: 0, maximum: 59 }, command: string }),
    { minute: 0, command: 'run' },
  ],
  ['limits', closed({ memory: { type: 'string', pattern: '^\\d+(Ki|Mi|Gi)$' } }), { memory: '512Mi' }],
  ['locale', one('de', 'en', 'fr', null), 'de', null],
  ['window', closed({ size: { type: 'array', items: integer, minItems: 2, maxItems: 2 } }), { size: [800, 600] }],
  ['ratio', number, 0, 0.25, 1],
  // Cluster resources.
  [
    'container',
    container,
    { name: 'web', image: 'web:1' },
    { name: 'db', image: 'db', ports: [{ containerPort: 5432 }] },
  ],
  [
    'pod',
    closed({ kind: one('Pod'), spec: closed({ containers: list(container, { minItems: 1 }) }) }),
    { kind: 'Pod', spec: { containers: [{ name: 'a', image: 'b' }] } },
  ],
  [
    'labels',
    closed({ metadata: closed({ name: word, 'labels?': labels }) }),
    { metadata: { name: 'x', labels: { app: 'y' } } },
  ],
  ['replicas', closed({ replicas: { type: 'integer', minimum: 0, maximum: 100 } }), { replicas: 3 }],
  ['port name', closed({ targetPort: either(port, word) }), { targetPort: 80 }, { targetPort: 'http' }],
  [
    'probe',
    closed({ httpGet: closed({ path: string, port }), 'periodSeconds?': integer }),
    { httpGet: { path: '/', port: 80 }, periodSeconds: 5 },
  ],
  [
    'volume',
    either(closed({ secret: closed({ name: word }) }), closed({ emptyDir: closed({}) })),
    { secret: { name: 'key' } },
    { emptyDir: {} },
  ],
  [
    'tolerations',
    list(closed({ key: string, operator: one('Exists', 'Equal'), 'value?': string })),
    [],
    [{ key: 'gpu', operator: 'Exists' }],
  ],
  ['policy', one('Always', 'OnFailure', 'Never'), 'Never'],
  ['quantity', either(integer, { type: 'string', pattern: '^\\d+m$' }), 2, '500m'],
  [
    'environment',
    list(closed({ name: { type: 'string', pattern: '^[A-Z_]+$' }, value: string })),
    [{ name: 'HOME', value: '/' }],
  ],
  ['selector', closed({ matchLabels: labels }), { matchLabels: { tier: 'front' } }],
  [
    'rules',
    list(closed({ verbs: list(one('get', 'list', 'watch')), resources: list(string) })),
    [{ verbs: ['get'], resources: ['pods'] }],
  ],
  [
    'metrics',
    list(
      closed({
        type: one('Resource'),
        target: closed({ averageUtilization: { type: 'integer', minimum: 1, maximum: 100 } }),
      }),
    ),
    [{ type: 'Resource', target: { averageUtilization: 70 } }],
  ],
  [
    'ingress',
    closed({ rules: list(closed({ host: string, paths: list(closed({ path: string, service: word })) })) }),
    { rules: [{ host: 'a.b', paths: [{ path: '/', service: 'web' }] }] },
  ],
  // Function calls.
  ['weather', closed({ city: string, 'unit?': one('C', 'F') }), { city: 'Oslo' }, { city: 'Rome', unit: 'F' }],
  ['currency', closed({ amount: number, from: string, to: string }), { amount: 12.5, from: 'EUR', to: 'USD' }],
  [
    'search',
    closed({
      query: { type: 'string', minLength: 1, maxLength: 40 },
      'limit?': { type: 'integer', minimum: 1, maximum: 50 },
    }),
    { query: 'kettle', limit: 5 },
  ],
  ['no arguments', closed({}), {}],
  [
    'mail',
    closed({ to: list(string, { minItems: 1, maxItems: 3 }), subject: string, body: string }),
    { to: ['a@b.c'], subject: '', body: 'Hi' },
  ],
  [
    'appointment',
    closed({ date: { type: 'string', format: 'date' }, 'note?': maybe(string) }),
    { date: '2026-11-28', note: null },
  ],
  ['alarm', closed({ at: { type: 'string', pattern: '^([01][0-9]|2[0-3]):[0-5][0-9]$' } }), { at: '07:45' }],
  [
    'calculation',
    closed({ operation: one('add', 'sub'), operands: { type: 'array', items: number, minItems: 2, maxItems: 2 } }),
    { operation: 'add', operands: [1, 2.5] },
  ],
  [
    'play',
    closed({ song: string, 'volume?': { type: 'integer', minimum: 0, maximum: 11 } }),
    { song: 'x', volume: 11 },
  ],
  [
    'one call',
    closed({ name: one('lamp'), arguments: closed({ on: flag }) }),
    { name: 'lamp', arguments: { on: true } },
  ],
  [
    'two functions',
    either(
      closed({ name: one('lamp'), arguments: closed({ on: flag }) }),
      closed({ name: one('heat'), arguments: closed({ degrees: integer }) }),
    ),
    { name: 'heat', arguments: { degrees: 21 } },
    { name: 'lamp', arguments: { on: false } },
  ],
  [
    'translate',
    closed({ text: string, target: { type: 'string', pattern: '^[a-z]{2}$' } }),
    { text: 'Hallo', target: 'en' },
  ],
  [
    'route',
    closed({ from: string, to: string, 'by?': list(one('car', 'train', 'foot'), { minItems: 1 }) }),
    { from: 'A', to: 'B', by: ['foot'] },
  ],
  ['id or name', either(closed({ id: integer }), closed({ name: string })), { id: 4 }, { name: 'Kim' }],
  ['discount', closed({ price: number, percent: number }), { price: 9, percent: 12.5 }],
  // Web events.
  [
    'page view',
    closed({ event: one('view'), url: string, 'referrer?': maybe(string) }),
    { event: 'view', url: '/', referrer: null },
  ],
  [
    'click',
    closed({ event: one('click'), target: string, x: integer, y: integer }),
    { event: 'click', target: 'buy', x: 4, y: -2 },
  ],
  [
    'session',
    closed({ id: { type: 'string', format: 'uuid' }, count: { type: 'integer', minimum: 0 } }),
    { id: '123e4567-e89b-42d3-a456-426614174000', count: 0 },
  ],
  ['viewport', closed({ width: integer, height: integer, 'dpr?': number }), { width: 390, height: 844, dpr: 2 }],
  ['consent', closed({ purposes: map(flag), 'version?': integer }), { purposes: { ads: false } }],
  [
    'error event',
    closed({ message: { type: 'string', maxLength: 60 }, fatal: flag, 'line?': maybe(integer) }),
    { message: 'x is not a function', fatal: false, line: 3 },
  ],
  [
    'basket',
    closed({ items: list(closed({ sku: word, quantity: { type: 'integer', minimum: 1, maximum: 99 } })) }),
    { items: [] },
    { items: [{ sku: 'a-1', quantity: 2 }] },
  ],
  ['timing', closed({ name: string, ms: { type: 'integer', minimum: 0 } }), { name: 'ttft', ms: 31 }],
  [
    'experiment',
    closed({ name: word, variant: one('a', 'b', 0, 1) }),
    { name: 'x', variant: 0 },
    { name: 'y', variant: 'b' },
  ],
  [
    'position',
    closed({
      lat: number,
      lon: number,
    }),
    { lat: 47.4, lon: -8.5 },
  ],
  [
    'device',
    closed({ kind: one('phone', 'tablet', 'desk'), 'touch?': flag, 'memory?': either(integer, none) }),
    { kind: 'desk', touch: false, memory: 8 },
  ],
  ['referral', either(one('direct'), closed({ campaign: string })), 'direct', { campaign: 'spring' }],
  ['open event', open({ event: string }), { event: 'x' }],
  ['scroll', closed({ depth: number }), { depth: 0.75 }],
  [
    'batch',
    list(either(closed({ view: string }), closed({ click: string })), { minItems: 1, maxItems: 4 }),
    [{ view: '/' }, { click: 'a' }],
  ],
  // Records of news and documents.
  [
    'article',
    closed({ title: string, authors: list(string), 'summary?': string }),
    { title: 'A', authors: ['B', 'C'] },
  ],
  [
    'image',
    closed({ type: one('image'), url: string, 'caption?': string, width: integer }),
    { type: 'image', url: 'x.png', width: 640 },
  ],
  [
    'blocks of a page',
    list(either(closed({ type: one('text'), text: string }), closed({ type: one('image'), url: string }))),
    [
      { type: 'text', text: 'Hi' },
      { type: 'image', url: 'x' },
    ],
  ],
  ['quote', closed({ text: string, source: maybe(string) }), { text: 'x', source: null }],
  ['tags', list(word, { maxItems: 3 }), [], ['a', 'b-2']],
  [
    'date line',
    closed({ place: string, on: { type: 'string', pattern: '^\\d{4}-\\d{2}-\\d{2}$' } }),
    { place: 'Bern', on: '2026-01-05' },
  ],
  ['correction', closed({ before: string, after: string, 'at?': integer }), { before: 'a', after: 'b' }],
  ['byline', either(string, list(string, { minItems: 1 })), 'Kim', ['Kim', 'Lee']],
  ['rating', closed({ stars: { type: 'integer', minimum: 1, maximum: 5 }, 'text?': string }), { stars: 5 }],
  [
    'table',
    closed({ head: list(string), rows: list(list(either(string, number))) }),
    { head: ['a'], rows: [['x'], [1.5]] },
  ],
  ['footnote', { type: 'array', prefixItems: [integer, string], items: false, minItems: 2 }, [1, 'See above.']],
  [
    'facts',
    closed({ facts: list(closed({ claim: string, true: flag }), { minItems: 1, maxItems: 2 }) }),
    { facts: [{ claim: 'x', true: false }] },
  ],
  ['language', closed({ code: { type: 'string', minLength: 2, maxLength: 3 } }), { code: 'de' }],
  [
    'poll',
    closed({ question: string, answers: { type: 'array', items: string, minItems: 2, maxItems: 4 } }),
    { question: 'x?', answers: ['y', 'n'] },
  ],
  ['headline', { type: 'string', minLength: 3, maxLength: 30 }, 'Short'],
  // Forms, people, shops.
  ['person', closed({ name: string, 'age?': { type: 'integer', minimum: 0, maximum: 130 } }), { name: 'Ann', age: 41 }],
  ['address', address, { street: 'Way 1', city: 'Ulm' }, { street: 'Way 1', city: 'Ulm', zip: '89073' }],
  [
    'customer',
    closed({ name: string, addresses: list(address, { minItems: 1 }) }),
    { name: 'A', addresses: [{ street: 'B', city: 'C' }] },
  ],
  ['price', price, { amount: 9.99, currency: 'EUR' }],
  [
    'product',
    closed({ sku: word, price, 'stock?': maybe(integer) }),
    { sku: 'k-1', price: { amount: 5, currency: 'JPY' }, stock: null },
  ],
  [
    'order',
    withDefs({ price }, closed({ total: ref('price'), lines: list(closed({ price: ref('price') })) })),
    { total: { amount: 2, currency: 'USD' }, lines: [] },
  ],
  ['phone', closed({ phone: { type: 'string', pattern: '^\\+\\d{6,12}$' } }), { phone: '+4315551234' }],
  ['consents', closed({ terms: { const: true }, 'news?': flag }), { terms: true }],
  [
    'gender or text',
    closed({ gender: either(one('f', 'm', 'x'), closed({ other: string })) }),
    { gender: 'x' },
    { gender: { other: 'y' } },
  ],
  ['iban', { type: 'string', pattern: '^[A-Z]{2}\\d{2}[A-Z0-9]{4,8}$' }, 'DE02ABCD1234'],
  [
    'birthday',
    closed({ month: { type: 'integer', minimum: 1, maximum: 12 }, day: { type: 'integer', minimum: 1, maximum: 31 } }),
    { month: 2, day: 29 },
  ],
  ['colour', either({ type: 'string', pattern: '^#[0-9A-F]{3}$' }, one('red', 'blue')), '#0FA', 'red'],
  [
    'seat',
    closed({ row: { type: 'string', pattern: '^[A-F]$' }, number: { type: 'integer', minimum: 1, maximum: 40 } }),
    { row: 'C', number: 12 },
  ],
  ['hours', map(closed({ from: string, to: string })), { monday: { from: '9', to: '17' } }],
  [
    'invoice',
    closed({ number: string, paid: flag, items: list(closed({ text: string, net: number }), { minItems: 1 }) }),
    { number: '7', paid: false, items: [{ text: 'x', net: 1 }] },
  ],
  // Trees and graphs.
  [
    'tree',
    withDefs({ node: closed({ name: string, 'children?': list(ref('node')) }) }, ref('node')),
    { name: 'a' },
    { name: 'a', children: [{ name: 'b', children: [] }] },
  ],
  [
    'linked list',
    withDefs({ cell: closed({ value: integer, next: maybe(ref('cell')) }) }, ref('cell')),
    { value: 1, next: null },
    { value: 1, next: { value: 2, next: null } },
  ],
  [
    'expression',
    withDefs({ term: either(integer, closed({ add: list(ref('term'), { minItems: 2, maxItems: 2 }) })) }, ref('term')),
    7,
    { add: [1, { add: [2, 3] }] },
  ],
  [
    'comment thread',
    withDefs({ comment: closed({ text: string, replies: list(ref('comment')) }) }, list(ref('comment'))),
    [{ text: 'x', replies: [{ text: 'y', replies: [] }] }],
  ],
  [
    'menu',
    withDefs(
      { entry: either(closed({ label: string, url: string }), closed({ label: string, entries: list(ref('entry')) })) },
      list(ref('entry')),
    ),
    [{ label: 'a', entries: [{ label: 'b', url: '/' }] }],
  ],
  [
    'edges',
    list({ type: 'array', prefixItems: [word, word], items: false, minItems: 2 }),
    [
      ['a', 'b'],
      ['b', 'c'],
    ],
  ],
  ['folder', withDefs({ entry: either(string, map(ref('entry'))) }, ref('entry')), 'a.txt', { src: { main: 'x' } }],
  [
    'state machine',
    closed({ start: word, states: map(closed({ on: map(word) })) }),
    { start: 'a', states: { a: { on: { go: 'b' } } } },
  ],
  [
    'filter',
    withDefs(
      { filter: either(closed({ field: word, equals: either(string, number) }), closed({ all: list(ref('filter')) })) },
      ref('filter'),
    ),
    { field: 'a', equals: 3 },
    { all: [{ field: 'b', equals: 'x' }] },
  ],
  [
    'matrix',
    list(list(number, { minItems: 2, maxItems: 2 }), { minItems: 2, maxItems: 2 }),
    [
      [1, 0],
      [0, 1.5],
    ],
  ],
];

export const SCHEMA_SHAPES: readonly SchemaShape[] = SHAPES.map(([name, schema, ...fitting]) => {
  return { name, schema, fitting };
});
