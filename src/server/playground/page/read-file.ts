/** A file as a document: its name, and its text by what kind of file it is. */
import { htmlText } from './html-text.js';
import { pdfText } from './pdf-text.js';

/** A text of this size is far above what a server takes; a PDF of this size may have little text. */
const MOST_BYTES = 64 * 2 ** 20;

/** @throws Error with a sentence that names the file and says why it cannot be read */
export async function readFile(file: File): Promise<{ name: string; text: string }> {
  try {
    const text = await textOf(file);
    if (text.trim() === '') throw new Error('It is empty.');
    return { name: file.name, text };
  } catch (error) {
    throw new Error(`${file.name} cannot be read. ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function textOf(file: File): Promise<string> {
  if (file.size > MOST_BYTES) throw new Error('It is larger than 64 MiB.');
  const ending = /\.([a-z0-9]+)$/i.exec(file.name)?.[1]?.toLowerCase() ?? '';
  if (ending === 'pdf' || file.type === 'application/pdf') return pdfText(await file.arrayBuffer());
  const text = decoded(await file.arrayBuffer());
  if (text.includes('\0')) throw new Error('It is not a text. The page reads text, Markdown, HTML and PDF.');
  return ending === 'html' || ending === 'htm' || file.type === 'text/html' ? htmlText(text) : text;
}

/** UTF-8, or UTF-16 by its mark; what is neither is taken for Windows-1252, which fits any bytes. */
export function decoded(bytes: ArrayBuffer): string {
  const [first, second] = new Uint8Array(bytes);
  if (first === 0xff && second === 0xfe) return new TextDecoder('utf-16le').decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder('utf-16be').decode(bytes);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder('windows-1252').decode(bytes);
  }
}
