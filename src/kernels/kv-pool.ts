/**
 * The KV pool in TypeScript: an id, sizes, and copies between pages and portable payloads.
 * Calls the addon, which checks the arguments. The engine keeps account of who has which page.
 */
import type { NativeAddon, PoolShape } from './native-addon.js';

export class KvPool {
  readonly id: number;
  readonly shape: Readonly<PoolShape>;
  /** Bytes of one page over all layers, scales included. */
  readonly pageBytes: number;
  readonly #addon: NativeAddon;

  /** @throws RangeError if the kernels do not know the shape; Error if there is not enough memory */
  constructor(addon: NativeAddon, shape: PoolShape) {
    this.#addon = addon;
    this.shape = { ...shape };
    this.id = addon.createPool(shape);
    this.pageBytes = addon.pageBytes(this.id);
  }

  /** Pages that `tokens` tokens take. */
  pagesFor(tokens: number): number {
    return Math.ceil(tokens / this.shape.pageTokens);
  }

  /** Bytes of the portable payload of `tokens` tokens. */
  payloadBytes(tokens: number): number {
    return this.#addon.payloadBytes(this.id, tokens);
  }

  /**
   * Copies `tokens` tokens out of `pages`, off the JS thread.
   * @returns payload `[layer][k|v][kv head][token][dim]`, int8: float32 scales behind it
   */
  async readPages(pages: Int32Array, tokens: number): Promise<Uint8Array> {
    const payload = new Uint8Array(this.payloadBytes(tokens));
    await this.#addon.readPages(this.id, pages, tokens, payload);
    return payload;
  }

  /**
   * Copies `tokens` tokens of `payload` into `pages`, off the JS thread.
   * @returns CRC-32 of the payload
   * @throws RangeError if lengths disagree
   */
  async writePages(pages: Int32Array, tokens: number, payload: Uint8Array): Promise<number> {
    return this.#addon.writePages(this.id, pages, tokens, payload);
  }

  /** Frees the pool when no step and no copy uses it. */
  destroy(): void {
    this.#addon.destroyPool(this.id);
  }
}
