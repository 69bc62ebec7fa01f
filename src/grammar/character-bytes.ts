/**
 * Keeps texts whole characters. xgrammar takes a leading byte with any continuation bytes for a character, also where
 * UTF-8 has none: too long forms, surrogates, beyond U+10FFFF (Unicode, table 3-7). Such bytes would become several
 * U+FFFD, and lengths would not hold. Knows bytes of tokens and masks of tokens, no grammar.
 */

/** Leading bytes behind which fewer continuation bytes may come, and the first and last of them. */
const NARROW: Readonly<Record<number, readonly [first: number, last: number]>> = {
  224: [0xa0, 0xbf],
  237: [0x80, 0x9f],
  240: [0x90, 0xbf],
  244: [0x80, 0x8f],
};

/** Whether bytes may stand in a text: none that UTF-8 never has, no narrow leading byte in front of a wrong one. */
export function mayBeText(bytes: Uint8Array): boolean {
  return bytes.every((byte, at) => {
    if (byte === 0xc0 || byte === 0xc1 || byte > 0xf4) return false;
    const range = NARROW[byte];
    const next = bytes[at + 1];
    return range === undefined || next === undefined || (next >= range[0] && next <= range[1]);
  });
}

export class CharacterBytes {
  /** By leading byte: the tokens that may come behind it, one bit each. */
  readonly #masks = new Map<number, Int32Array>();

  /** @param bytesOf the bytes of each token id below `vocabSize` */
  constructor(vocabSize: number, bytesOf: (id: number) => Uint8Array) {
    for (const lead of Object.keys(NARROW).map(Number)) {
      const [first, last] = NARROW[lead] as readonly [number, number];
      const mask = new Int32Array(Math.ceil(vocabSize / 32));
      for (let id = 0; id < vocabSize; id++) {
        const byte = bytesOf(id)[0] ?? 0;
        if (byte >= first && byte <= last) mask[id >> 5] = (mask[id >> 5] as number) | (1 << (id & 31));
      }
      this.#masks.set(lead, mask);
    }
  }

  /** Takes out of a mask what cannot follow the last byte of the text. */
  narrow(mask: Int32Array, lastByte: number | undefined): void {
    const allowed = lastByte === undefined ? undefined : this.#masks.get(lastByte);
    if (allowed === undefined) return;
    for (let word = 0; word < mask.length; word++) mask[word] = (mask[word] as number) & (allowed[word] ?? 0);
  }
}
