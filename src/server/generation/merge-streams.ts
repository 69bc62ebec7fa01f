/** Several streams as one: the choices of a prompt, the prompts of a request. */

/** Yields from all generators as their values come; when one throws, or the reader leaves, the others are ended. */
export async function* mergeStreams<T>(
  streams: readonly AsyncGenerator<T>[],
): AsyncGenerator<{ index: number; event: T }> {
  const pending = new Map<number, Promise<{ index: number; result: IteratorResult<T> }>>();
  const advance = (index: number, stream: AsyncGenerator<T>) => {
    pending.set(
      index,
      stream.next().then((result) => ({ index, result })),
    );
  };
  streams.forEach((stream, index) => {
    advance(index, stream);
  });
  try {
    while (pending.size > 0) {
      const { index, result } = await Promise.race(pending.values());
      pending.delete(index);
      const stream = streams[index];
      if (result.done || !stream) continue;
      yield { index, event: result.value };
      advance(index, stream);
    }
  } finally {
    for (const rest of pending.values()) rest.catch(() => {});
    for (const stream of streams) stream.return(undefined).catch(() => {});
  }
}
