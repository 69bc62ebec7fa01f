/** A stand-in for the Hugging Face hub on loopback: the routes that `blockstitch pull` asks, served from a directory. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

export interface HubFault {
  /** Cuts the connection after this many bytes of a file, so many times. */
  cutAfterBytes?: number;
  cuts?: number;
  /** Announces another hash than the content's. */
  wrongHash?: boolean;
  /** Flips a bit of the content. */
  damaged?: boolean;
}

export interface HubServer {
  url: string;
  /** Path and Range of every request for a file's content, in order. */
  served: { path: string; range: string | undefined }[];
  /** By file name. */
  faults: Map<string, HubFault>;
  /** Paths that are listed besides the directory's files. */
  alsoListed: string[];
  /** Asked for where set. */
  token: string | undefined;
  close(): Promise<void>;
}

/** @param repository `owner/name`; files larger than 10 KiB are in LFS, as the hub has it */
export async function startHub(repository: string, directory: string): Promise<HubServer> {
  const hub: Omit<HubServer, 'url' | 'close'> = { served: [], faults: new Map(), alsoListed: [], token: undefined };
  const server = createServer((request, response) => answer(request, response, repository, directory, hub));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return Object.assign(hub, {
    url: `http://127.0.0.1:${port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  });
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  repository: string,
  directory: string,
  hub: Omit<HubServer, 'url' | 'close'>,
): void {
  const { pathname } = new URL(request.url ?? '/', 'http://hub');
  if (hub.token !== undefined && request.headers.authorization !== `Bearer ${hub.token}`) {
    refuse(response, 401, 'GatedRepo');
    return;
  }
  if (pathname === `/api/models/${repository}/tree/main`) {
    const files = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isFile());
    const entries = [
      { type: 'directory', path: 'onnx', size: 0, oid: '0'.repeat(40) },
      ...hub.alsoListed.map((path) => ({ type: 'file', path, size: 5, oid: '2'.repeat(40) })),
      ...files.map(({ name }) => entryOf(directory, name, hub.faults.get(name) ?? {})),
    ];
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(entries));
    return;
  }
  const prefix = `/${repository}/resolve/main/`;
  if (!pathname.startsWith(prefix)) refuse(response, 404, 'RepoNotFound');
  else serveFile(request, response, directory, pathname.slice(prefix.length), hub);
}

function entryOf(directory: string, path: string, { wrongHash = false }: HubFault): object {
  const content = readFileSync(join(directory, path));
  const size = content.length;
  const oid = wrongHash ? 'e'.repeat(40) : createHash('sha1').update(`blob ${size}\0`).update(content).digest('hex');
  if (size < 10_240) return { type: 'file', path, size, oid };
  const sha256 = wrongHash ? 'e'.repeat(64) : createHash('sha256').update(content).digest('hex');
  return { type: 'file', path, size, oid: '1'.repeat(40), lfs: { oid: sha256, size, pointerSize: 130 } };
}

function serveFile(
  request: IncomingMessage,
  response: ServerResponse,
  directory: string,
  name: string,
  { served, faults }: Omit<HubServer, 'url' | 'close'>,
): void {
  const fault = faults.get(name) ?? {};
  const content = Buffer.from(readFileSync(join(directory, name)));
  if (fault.damaged) content[content.length >> 1] = (content[content.length >> 1] as number) ^ 1;
  const [, from = '0', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
  const start = Number(from);
  const end = to === '' ? content.length - 1 : Math.min(Number(to), content.length - 1);
  const body = content.subarray(start, end + 1);
  response.writeHead(206, {
    'content-type': 'application/octet-stream',
    'content-length': body.length,
    'content-range': `bytes ${start}-${end}/${content.length}`,
    etag: '"stand-in"',
  });
  const probe = start === 0 && end === 0;
  if (!probe) served.push({ path: name, range: request.headers.range });
  if (probe || !fault.cuts || body.length <= (fault.cutAfterBytes ?? 0)) {
    response.end(body);
    return;
  }
  fault.cuts -= 1;
  // The end of the connection, not of the answer: what was sent arrives first.
  response.write(body.subarray(0, fault.cutAfterBytes), () => response.socket?.end());
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/json', 'x-error-code': code });
  response.end(JSON.stringify({ error: code }));
}
