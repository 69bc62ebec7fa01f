/**
 * Compiles the serializer of an answer when the first such answer is written. There are about a hundred, and compiling all of
 * them took a tenth of the start. Knows when; the library knows how.
 */
import { SerializerSelector } from '@fastify/fast-json-stringify-compiler';

type Factory = ReturnType<typeof SerializerSelector>;
type Serialize = ReturnType<ReturnType<Factory>>;

export class LaterSerializers {
  readonly #waiting = new Set<() => unknown>();

  /** For Fastify's `schemaController`. */
  readonly factory: Factory = (externalSchemas, options) => {
    const compile = SerializerSelector()(externalSchemas, options);
    return (route) => {
      let compiled: Serialize | undefined;
      const serializer = () => {
        this.#waiting.delete(serializer);
        compiled ??= compile(route);
        return compiled;
      };
      this.#waiting.add(serializer);
      return (answer) => serializer()(answer);
    };
  };

  /** Compiles what is left, one in each turn of the event loop: no first answer needs to wait for it. */
  async compileAll(): Promise<void> {
    for (const compile of this.#waiting) {
      compile();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
