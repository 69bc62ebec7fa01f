/**
 * The clients of `overhead`, in a process of their own: keeps COUNT streamed completions going until its standard input
 * ends. `node stream-client.js URL MODEL COUNT MAX_TOKENS`
 */
const [url, model, count, maxTokens] = process.argv.slice(2) as [string, string, string, string];
let stopping = false;
process.stdin.on('end', () => {
  stopping = true;
});
process.stdin.resume();

async function stream(number: number): Promise<void> {
  for (let turn = 0; !stopping; turn++) {
    const response = await fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model,
        prompt: `Client ${number} asks again, ${turn}.`,
        max_tokens: Number(maxTokens),
        temperature: 0,
        stream: true,
        ignore_eos: true,
      }),
    });
    if (!response.ok || response.body === null) throw new Error(`status ${response.status}: ${await response.text()}`);
    for await (const _ of response.body);
  }
}

await Promise.all(Array.from({ length: Number(count) }, (_, number) => stream(number)));
