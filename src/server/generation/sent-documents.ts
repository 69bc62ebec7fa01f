/**
 * A request's documents in the forms in which applications have them: a bare string, our own object, or a document of
 * LangChain (`page_content`) or Haystack (`content`), whose own ids mean nothing here.
 */
import type { DocumentInput } from '../../documents/document-inputs.js';
import { BlockstitchError } from '../../errors.js';
import type { SentDocument } from '../schemas/chat-schema.js';

const TEXT_FIELDS = ['text', 'page_content', 'content'] as const;

/** @throws BlockstitchError `invalid_request` for a document with two texts */
export function sentDocuments(documents: readonly SentDocument[]): DocumentInput[] {
  return documents.map((sent, index) => {
    if (typeof sent === 'string') return { text: sent };
    const [field, second] = TEXT_FIELDS.filter((name) => sent[name] !== undefined);
    const param = `documents[${index}]`;
    if (second !== undefined) {
      const reason = `\`${param}\` has two texts: \`${field}\` and \`${second}\`.`;
      throw new BlockstitchError('invalid_request', { reason }, { param });
    }
    const { id, title } = sent;
    return {
      ...(id === undefined || field === 'page_content' || field === 'content' ? {} : { id }),
      ...(title === undefined ? {} : { title }),
      ...(field === undefined ? {} : { text: sent[field] as string }),
    };
  });
}
