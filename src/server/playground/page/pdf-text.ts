/**
 * PDF to plain text, by pdf.js in a worker of its own. Both are loaded when the first PDF comes: the page itself stays small.
 * Text that is only a picture (a scan) is not read.
 */
import { trusted } from './trusted.js';

interface TextItem {
  str?: string;
  hasEOL?: boolean;
  /** [a, b, c, d, x, y] in points, y upwards. */
  transform?: number[];
  height?: number;
}

interface PdfDocument {
  numPages: number;
  getPage(number: number): Promise<{ getTextContent(): Promise<{ items: TextItem[] }> }>;
}

interface Pdfjs {
  GlobalWorkerOptions: { workerPort: Worker | null };
  getDocument(source: object): { promise: Promise<PdfDocument>; destroy(): Promise<void> };
}

let loaded: Promise<Pdfjs> | undefined;

/** @throws Error if it is not a PDF, asks for a password, or has no text */
export async function pdfText(bytes: ArrayBuffer): Promise<string> {
  loaded ??= load();
  const pdfjs = await loaded;
  const task = pdfjs.getDocument({
    data: new Uint8Array(bytes),
    cMapUrl: new URL('pdfjs/cmaps/', import.meta.url).href,
    cMapPacked: true,
    disableFontFace: true,
    isEvalSupported: false,
    useWasm: false,
    verbosity: 0,
  });
  try {
    const pdf = await task.promise;
    const pages: string[] = [];
    for (let number = 1; number <= pdf.numPages; number += 1) {
      const page = await pdf.getPage(number);
      pages.push(pageText((await page.getTextContent()).items));
    }
    const text = pages.join('\n\n').trim();
    if (text === '') throw new Error('It has no text; a scanned page is a picture.');
    return text;
  } finally {
    await task.destroy();
  }
}

/** Lines as they stand. A gap that is wider than a line and a half begins a paragraph. */
export function pageText(items: readonly TextItem[]): string {
  let text = '';
  let lineY: number | undefined;
  let lineHeight = 0;
  for (const { str = '', hasEOL = false, transform, height = 0 } of items) {
    const y = transform?.[5];
    if (str !== '' && y !== undefined) {
      const gap = lineY === undefined ? 0 : lineY - y;
      if (text.endsWith('\n') && gap > 1.6 * Math.max(height, lineHeight, 1)) text += '\n';
      lineY = y;
      lineHeight = height;
    }
    text += str;
    if (hasEOL) text += '\n';
  }
  return text.replace(/[ \t]+\n/g, '\n').trim();
}

async function load(): Promise<Pdfjs> {
  const pdfjs = (await import(new URL('pdfjs/pdf.min.mjs', import.meta.url).href)) as Pdfjs;
  const address = trusted.createScriptURL(new URL('pdfjs/pdf.worker.min.mjs', import.meta.url).href);
  pdfjs.GlobalWorkerOptions.workerPort = new Worker(address, { type: 'module' });
  return pdfjs;
}
