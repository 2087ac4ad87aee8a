// Completions, each in one piece and piece by piece.
import { both, connect, print } from "./ollama_client.mjs";

const client = connect();
const generate = (name, prompt, more = {}) =>
  both(client, "generate", { model: `${name}:${process.env.KIND}`, prompt, ...more });

print([
  await generate("chat", "hi"),
  await generate("chat", "def add(a, b):", { suffix: "    return c" }),
  await generate("plain", "hi", { system: "Be brief.", template: "{{ .System }} says {{ .Prompt }}" }),
  await generate("chat", "hi", { context: [1, 2, 3] }),
  await generate("chat", "<|s:json|>", { raw: true }),
  await generate("chat", "json", { format: "json", keep_alive: "5m" }),
  await generate("see", "What is this?", { images: [new Uint8Array([137, 80, 78, 71])] }),
  await generate("think", "hi", { think: true }),
  await generate("chat", "hi", { logprobs: true, top_logprobs: 1, options: { num_predict: 3 } }),
  await generate("chat", "a cat", { width: 64, height: 64, steps: 2 }),
]);
