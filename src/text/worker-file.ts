/**
 * Where the compiled file of a worker is. If the caller is compiled, it is beside the caller. If the caller is a source
 * (tests run the sources), it is at the same place under dist/.
 */

/**
 * @param path of the worker's file relative to the caller, with the extension .js
 * @param callerUrl the caller's `import.meta.url`
 */
export function workerFile(path: string, callerUrl: string): string {
  const url = new URL(path, callerUrl).href;
  if (!callerUrl.endsWith('.ts')) return url;
  const root = new URL('../../', import.meta.url).href;
  return new URL(`dist/${url.slice(root.length)}`, root).href;
}
