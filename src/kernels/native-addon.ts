/**
 * The addon's exports, as TypeScript sees them. test/integration/kernels/exports.test.ts holds the two equal.
 * The addon checks every argument: a wrong type throws TypeError, a wrong value RangeError; both say which and why.
 * Knows types only: loading is `load-addon.ts`, the pool's wrapper is `kv-pool.ts`, step metadata is `step-metadata.ts`.
 */

/** Element type of cached keys and values. int8 carries one float32 scale per (token, kv head). */
export type KvDtype = 'float32' | 'float16' | 'bfloat16' | 'int8';

/** Instruction set of the CPU kernels, chosen once at load from what the processor has. */
export type KernelLevel = 'portable' | 'avx2' | 'avx512';

export interface PoolShape {
  /** Pages in the pool, >= 1. */
  pages: number;
  /** Token slots in one page; a positive multiple of 16 (default 16). */
  pageTokens: number;
  layers: number;
  kvHeads: number;
  headDim: number;
  dtype: KvDtype;
  /** Number of the GPU whose memory the pool takes; absent: host memory. */
  device?: number;
}

/** A GPU as the device library reports it. */
export interface DeviceInfo {
  name: string;
  /** Compute capability, e.g. `9.0`. */
  capability: string;
  totalBytes: number;
  freeBytes: number;
}

export interface NativeAddon {
  /** Version of the addon's interface; `load-addon.ts` refuses any other than its own. */
  readonly interfaceVersion: number;
  /**
   * Opens the real ONNX Runtime library and patches two entries of its `OrtApi` table. A later call changes nothing.
   * Main thread, before onnxruntime-node is loaded anywhere.
   * @returns version string of the library, e.g. `1.30.0`
   * @throws Error when the library cannot be opened, is too old, or refuses the operator
   */
  attachOnnxRuntime(libraryPath: string): string;
  /** True when onnxruntime-node's own reference to `OrtGetApiBase` has been resolved to the addon's. */
  isOnnxRuntimeAttached(): boolean;
  kernelLevel(): KernelLevel;
  /** Forces a lower kernel level (tests, benches). @throws RangeError when the processor lacks it */
  setKernelLevel(level: KernelLevel): void;
  /**
   * Opens a device library (libblockstitch_cuda.so) and offers its operators to the sessions made from then on. After a
   * success a later call changes nothing. After attachOnnxRuntime, on the main thread.
   * @throws Error saying what is missing: the file, something it needs, the driver, a GPU
   */
  openDeviceLibrary(path: string): void;
  /** The GPUs, as they are now. After openDeviceLibrary. @throws Error when the driver fails */
  devices(): DeviceInfo[];
  /** Bytes of one page of a pool on a GPU. After openDeviceLibrary. @throws Error for a shape that its kernels do not know */
  devicePageBytes(shape: PoolShape): number;
  /** Allocates a pool (pages are touched lazily by the OS). @returns its id, valid in every thread of the process */
  createPool(shape: PoolShape): number;
  /** Frees a pool once no step and no page copy uses it. */
  destroyPool(id: number): void;
  /** Bytes that one page takes in the pool, all layers, scales included. */
  pageBytes(id: number): number;
  /** Bytes of the portable payload of `tokens` tokens: `[layer][k|v][kv head][token][dim]`, then for int8 the float32 scales `[layer][k|v][kv head][token]`. */
  payloadBytes(id: number, tokens: number): number;
  /**
   * Copies `tokens` tokens out of `pages` into `payload`, off the JS thread. Nobody may transfer the payload's buffer before
   * the promise settles. An environment that ends meanwhile waits for the copy, and the promise never settles.
   */
  readPages(id: number, pages: Int32Array, tokens: number, payload: Uint8Array): Promise<void>;
  /** Copies `tokens` tokens of `payload` into `pages`, off the JS thread. As readPages. */
  writePages(id: number, pages: Int32Array, tokens: number, payload: Uint8Array): Promise<void>;
  /**
   * How far cached values lie from fresh ones: for each place, the sum over its rows, heads and dimensions of the squared
   * difference. `places` is [n, 3]: page, first slot, rows; they take the rows of `values` [rows, kvHeads * headDim] one
   * after another. A negative page passes its rows over (sum 0).
   */
  valueDeviations(id: number, layer: number, places: Int32Array, values: Float32Array): Float64Array;
  /**
   * The CPU's BlockAttention op since process start: calls (one per layer and step), nanoseconds spent in them, and plans
   * (one per step, whatever its layers).
   */
  operatorStatistics(): { calls: number; nanoseconds: number; plans: number };
}
