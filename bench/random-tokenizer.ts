/**
 * A tokenizer for checkpoints with random weights: byte-level BPE. Its merges make all strings of two, three and four
 * letters in turn until the vocabulary is full. So every id up to the model's vocabulary size can be decoded, and text
 * takes a realistic number of tokens. Knows the tokenizer.json format; nothing here was learned from text.
 */

/** They come from the end of the vocabulary, in this order. */
export const SPECIAL_TOKENS = {
  bos: '<|begin|>',
  startOfTurn: '<|turn|>',
  endOfTurn: '<|end|>',
} as const;

/** The byte-level alphabet's sign for a space. */
const SPACE = 'Ġ';
const LETTERS = [...'abcdefghijklmnopqrstuvwxyz'];

const CHAT_TEMPLATE = [
  "{{ bos_token }}{% for message in messages %}{{ '<|turn|>' + message.role + '\\n' }}",
  "{% if documents and loop.last %}{% for document in documents %}{{ document.text + '\\n' }}{% endfor %}{% endif %}",
  "{{ message.content + '<|end|>' + '\\n' }}{% endfor %}",
  "{% if add_generation_prompt %}{{ '<|turn|>assistant\\n' }}{% endif %}",
].join('');

/**
 * @param vocabSize size of the model's vocabulary
 * @returns contents by file name
 * @throws TypeError when there is no room for all bytes and the special tokens
 */
export function randomTokenizerFiles(vocabSize: number): Record<'tokenizer.json' | 'tokenizer_config.json', string> {
  const special = Object.values(SPECIAL_TOKENS);
  const ordinary = vocabSize - special.length;
  const alphabet = byteAlphabet();
  if (ordinary < alphabet.length) throw new TypeError(`a vocabulary of ${vocabSize} has no room for all bytes`);
  const tokens = [...alphabet];
  const merges: [string, string][] = [];
  for (const [left, right] of mergesInTurn()) {
    if (tokens.length === ordinary) break;
    merges.push([left, right]);
    tokens.push(left + right);
  }
  const added = special.map((content, index) => ({
    id: ordinary + index,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
  const config = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: SPECIAL_TOKENS.bos,
    eos_token: SPECIAL_TOKENS.endOfTurn,
    add_bos_token: false,
    chat_template: CHAT_TEMPLATE,
  };
  return { 'tokenizer.json': JSON.stringify(tokenizer), 'tokenizer_config.json': JSON.stringify(config, undefined, 2) };
}

/** Merges that make every pair of letters (a space may come first), then every triple, then strings of four. */
function* mergesInTurn(): Generator<[string, string]> {
  let shorter = [SPACE, ...LETTERS];
  for (let length = 2; length <= 4; length++) {
    const longer: string[] = [];
    for (const left of shorter) {
      for (const right of LETTERS) {
        yield [left, right];
        longer.push(left + right);
      }
    }
    shorter = longer;
  }
}

/** One printable character per byte, as byte-level BPE writes them (GPT-2's table): printable bytes stand for themselves. */
function byteAlphabet(): string[] {
  const alphabet: string[] = [];
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    alphabet.push(String.fromCodePoint(printable ? byte : next++));
  }
  return alphabet;
}
