/**
 * The engine's KV pool: how many pages it has, and when it is made. A pool in host memory, or of a given size, is made
 * at once. A GPU's pool without a size is made when the model is loaded, from the memory that is left.
 * Knows sizes. The worker knows what the pages hold.
 */
import { BlockstitchError } from '../../errors.js';
import type { NativeAddon, PoolShape } from '../../kernels/native-addon.js';

const MIB = 1024 * 1024;

/** Size of a pool in host memory if none is given. */
const HOST_POOL_BYTES = 1024 * MIB;

/** Memory that a GPU keeps free beside the pool: activations of the largest step, ONNX Runtime's arena, step plans. */
const GPU_RESERVE = { bytes: 768 * MIB, share: 0.06 };

export interface EnginePoolOptions {
  addon: Pick<NativeAddon, 'createPool' | 'destroyPool' | 'pageBytes' | 'devicePageBytes' | 'devices'>;
  /** Everything but the number of pages. With `device` the pool is a GPU's, else in host memory. */
  shape: Omit<PoolShape, 'pages'>;
  /** 0: as large as fits on a GPU, 1 GiB in host memory. */
  kvMemoryBytes: number;
}

export class EnginePool {
  readonly #options: EnginePoolOptions;
  readonly pageBytes: number;
  #made: { id: number; pages: number } | undefined;

  /** @throws BlockstitchError `config_invalid` if the kernels do not know the shape, or if the pool is too small */
  constructor(options: EnginePoolOptions) {
    this.#options = options;
    this.pageBytes = this.#pageBytes();
    if (!this.sizedByModel) this.make();
  }

  /** Whether the pool must wait until the model is loaded. */
  get sizedByModel(): boolean {
    return this.#options.shape.device !== undefined && this.#options.kvMemoryBytes === 0;
  }

  get id(): number {
    return this.make().id;
  }

  /** Pages that requests may use. One more page is scratch, for padding rows. */
  get pages(): number {
    return this.make().pages;
  }

  /** Takes the memory, at the first call. @throws BlockstitchError `config_invalid` if there is not enough */
  make(): { id: number; pages: number } {
    if (this.#made !== undefined) return this.#made;
    const { addon, shape } = this.#options;
    const bytes = this.#bytes();
    const pages = Math.floor(bytes / this.pageBytes) - 1;
    if (pages < 1) throw invalid(`${bytes} bytes hold fewer than two pages of ${this.pageBytes} bytes`);
    try {
      this.#made = { id: addon.createPool({ ...shape, pages: pages + 1 }), pages };
    } catch (cause) {
      throw shape.device === undefined ? cause : invalid((cause as Error).message, cause);
    }
    return this.#made;
  }

  destroy(): void {
    if (this.#made !== undefined) this.#options.addon.destroyPool(this.#made.id);
    this.#made = undefined;
  }

  #bytes(): number {
    const { addon, shape, kvMemoryBytes } = this.#options;
    if (kvMemoryBytes > 0) return kvMemoryBytes;
    if (shape.device === undefined) return HOST_POOL_BYTES;
    const { freeBytes = 0, totalBytes = 0 } = addon.devices()[shape.device] ?? {};
    return Math.max(0, freeBytes - Math.max(GPU_RESERVE.bytes, GPU_RESERVE.share * totalBytes));
  }

  #pageBytes(): number {
    const { addon, shape } = this.#options;
    if (shape.device !== undefined) {
      try {
        return addon.devicePageBytes({ ...shape, pages: 1 });
      } catch (cause) {
        throw new BlockstitchError(
          'config_invalid',
          { setting: '--device', reason: (cause as Error).message },
          { cause },
        );
      }
    }
    const sample = addon.createPool({ ...shape, pages: 1 });
    const bytes = addon.pageBytes(sample);
    addon.destroyPool(sample);
    return bytes;
  }
}

function invalid(reason: string, cause?: unknown): BlockstitchError {
  return new BlockstitchError('config_invalid', { setting: '--kv-memory', reason }, { cause });
}
