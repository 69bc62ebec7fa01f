/**
 * The addon's exports for TypeScript. test/integration/kernels/exports.test.ts holds this file and the addon equal.
 * The addon checks every argument: a wrong type throws TypeError, a wrong value RangeError; both say which and why.
 * Knows types only. `load-addon.ts` loads the addon, `kv-pool.ts` wraps the pool, `step-metadata.ts` lays a step out.
 *
 * Words: addon = the C++ library that Node loads; device library = the same for a GPU; pool = pages of KV in one
 * memory; payload = a block's KV in a form that fits every pool; step = one run of the graph.
 */

/** Element type of cached keys and values. int8 carries one float32 scale per (token, kv head). */
export type KvDtype = 'float32' | 'float16' | 'bfloat16' | 'int8';

/**
 * Instruction set of the CPU kernels. The addon chooses it once, when it is loaded, for the processor. `avx512-bf16`
 * multiplies queries, keys and values in bfloat16, unless the pool is float32 (docs/results/kernel.md has the errors).
 */
export type KernelLevel = 'portable' | 'avx2' | 'avx512' | 'avx512-bf16';

export interface PoolShape {
  /** Pages in the pool, >= 1. */
  pages: number;
  /** Token slots in one page; a positive multiple of 16 (default 16). */
  pageTokens: number;
  layers: number;
  kvHeads: number;
  headDim: number;
  dtype: KvDtype;
  /** Number of the GPU that gives the memory; absent: host memory. */
  device?: number;
}

/** A GPU, from the device library's report. */
export interface DeviceInfo {
  name: string;
  /** Compute capability, e.g. `9.0`. */
  capability: string;
  totalBytes: number;
  freeBytes: number;
}

export interface NativeAddon {
  /** Version of the addon's interface. `load-addon.ts` refuses any version but its own. */
  readonly interfaceVersion: number;
  /**
   * Opens the real ONNX Runtime library and patches two entries of its `OrtApi` table. A later call changes nothing.
   * Call it on the main thread, before onnxruntime-node is loaded anywhere.
   * @returns version string of the library, e.g. `1.30.0`
   * @throws Error if the library cannot be opened, is too old, or refuses the operator
   */
  attachOnnxRuntime(libraryPath: string): string;
  /** True if onnxruntime-node has found the addon's `OrtGetApiBase` instead of its own library's. */
  isOnnxRuntimeAttached(): boolean;
  kernelLevel(): KernelLevel;
  /** Forces a lower kernel level (tests, benches). @throws RangeError if the processor lacks it */
  setKernelLevel(level: KernelLevel): void;
  /**
   * Opens a device library (libblockstitch_cuda.so) and offers its operators to all later sessions. After a success a
   * further call changes nothing. Call it on the main thread, after attachOnnxRuntime.
   * @throws Error that says what is missing: the file, something that it needs, the driver, a GPU
   */
  openDeviceLibrary(path: string): void;
  /** The GPUs, in their present state. Call openDeviceLibrary before. @throws Error if the driver fails */
  devices(): DeviceInfo[];
  /** Bytes of one page on a GPU. Call openDeviceLibrary before. @throws Error if the kernels do not know the shape */
  devicePageBytes(shape: PoolShape): number;
  /** Allocates a pool; the OS gives the memory when pages are used. @returns its id, valid in every thread */
  createPool(shape: PoolShape): number;
  /** Frees a pool when no step and no page copy uses it. */
  destroyPool(id: number): void;
  /** Bytes of one page in the pool, over all layers, with scales. */
  pageBytes(id: number): number;
  /**
   * Bytes of the portable payload of `tokens` tokens: `[layer][k|v][kv head][token][dim]`, then, for int8, the float32
   * scales `[layer][k|v][kv head][token]`.
   */
  payloadBytes(id: number, tokens: number): number;
  /**
   * Copies `tokens` tokens out of `pages` into `payload`, off the JS thread. Nobody may transfer the payload's buffer
   * before the promise settles. If the thread ends meanwhile, it waits for the copy, and the promise never settles.
   * @returns CRC-32 (zlib's) of the payload
   */
  readPages(id: number, pages: Int32Array, tokens: number, payload: Uint8Array): Promise<number>;
  /** Copies `tokens` tokens of `payload` into `pages`, off the JS thread. The rules and the result are those of readPages. */
  writePages(id: number, pages: Int32Array, tokens: number, payload: Uint8Array): Promise<number>;
  /**
   * How far cached values lie from fresh ones: for each place, the sum of squared differences over its rows, heads and
   * dimensions. `places` is [n, 3]: page, first slot, rows. They take the rows of `values` [rows, kvHeads * headDim]
   * one after another. A negative page skips its rows (sum 0).
   */
  valueDeviations(id: number, layer: number, places: Int32Array, values: Float32Array): Float64Array;
  /**
   * The CPU's BlockAttention op since process start: calls (one per layer and step), nanoseconds spent in them, and
   * plans (one per step).
   */
  operatorStatistics(): { calls: number; nanoseconds: number; plans: number };
}
