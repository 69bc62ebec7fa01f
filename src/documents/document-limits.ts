/**
 * What a document may be: how long its id and its text, how many at once, how much metadata.
 * Everything that can be told before work begins is told here, by name.
 */
import { type Config, settingLabel } from '../config.js';
import { BlockstitchError } from '../errors.js';
import { formatBytes } from '../units.js';

/**
 * Bytes of UTF-8 in an id. Keys of the embedded store take 1978 bytes, of which hex takes two for each byte of an id.
 * Every id of up to 256 UTF-16 units, which is what could be read back before, keeps within it.
 */
export const MAX_ID_BYTES = 768;
const MAX_METADATA = 16;

/** @throws BlockstitchError `invalid_request` */
export function checkDocumentId(id: string): void {
  const bytes = Buffer.byteLength(id);
  if (bytes > MAX_ID_BYTES) {
    throw invalid(`\`id\` has ${bytes} bytes of UTF-8; the limit is ${MAX_ID_BYTES}.`, 'id');
  }
  if (id === '.' || id === '..') {
    throw invalid(
      `\`id\` may not be "${id}": HTTP clients take it for a folder and leave it out of the address.`,
      'id',
    );
  }
}

/** @throws BlockstitchError `invalid_request` */
export function checkMetadata(metadata: Readonly<Record<string, string>> = {}): void {
  if (Object.keys(metadata).length <= MAX_METADATA) return;
  throw invalid(`\`metadata\` has more than ${MAX_METADATA} entries.`, 'metadata');
}

/**
 * @param param the field that holds them
 * @throws BlockstitchError `payload_too_large`
 */
export function checkDocumentCount(
  count: number,
  param: 'documents' | 'blocks',
  { maxDocuments }: Pick<Config, 'maxDocuments'>,
): void {
  if (count <= maxDocuments) return;
  throw new BlockstitchError(
    'payload_too_large',
    { what: 'The request', actual: `${count} ${param}`, limit: maxDocuments, setting: settingLabel('maxDocuments') },
    { param },
  );
}

/** @throws BlockstitchError `empty_input`, `payload_too_large` */
export function checkDocumentText(
  text: string,
  what: string,
  { maxDocumentBytes }: Pick<Config, 'maxDocumentBytes'>,
): void {
  if (!/\S/.test(text)) throw new BlockstitchError('empty_input', { what }, { param: what });
  const bytes = Buffer.byteLength(text);
  if (bytes <= maxDocumentBytes) return;
  throw new BlockstitchError(
    'payload_too_large',
    {
      what,
      actual: formatBytes(bytes),
      limit: formatBytes(maxDocumentBytes),
      setting: settingLabel('maxDocumentBytes'),
    },
    { param: what },
  );
}

function invalid(reason: string, param: string): BlockstitchError {
  return new BlockstitchError('invalid_request', { reason }, { param });
}
