/** A request as the access log has it. Salts are secrets: their value stays out of it. Knows URLs, no logger. */
import type { FastifyRequest, FastifyServerOptions } from 'fastify';

type LoggerOption = NonNullable<FastifyServerOptions['logger']>;

const SECRET = 'cache_salt';

/** fastify's own fields, without secrets in the URL. */
function loggedRequest({ method, url, host, ip, socket }: FastifyRequest) {
  const port = socket?.remotePort;
  const remotePort = port === undefined ? {} : { remotePort: port };
  return { method, url: withoutSecrets(url), host, remoteAddress: ip, ...remotePort };
}

/** A URL or a text that holds one, with `...` in place of each salt's value. */
export function withoutSecrets(url: string): string {
  return url.replace(/([?&])([^=&#\s]*)=([^&#\s']*)/g, (whole, before: string, name: string) =>
    decoded(name) === SECRET ? `${before}${name}=...` : whole,
  );
}

/** The logger option for fastify: as asked for, and requests are logged as above. */
export function loggingRequests(option: LoggerOption): LoggerOption {
  if (option === false) return false;
  const own = option === true ? {} : option;
  return { ...own, serializers: { ...own.serializers, req: loggedRequest } };
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
