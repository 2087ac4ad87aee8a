// Completions in one piece, several at once, and piece by piece.
import OpenAI from "openai";

const client = new OpenAI();
const asked = { model: "chat:0.33", prompt: "hi" };
const whole = await client.completions.create(asked);
const two = await client.completions.create({ ...asked, prompt: ["hi", "you"] });

const chunks = [];
for await (const chunk of await client.completions.create({
  ...asked,
  stream: true,
  stream_options: { include_usage: true },
})) {
  chunks.push(chunk);
}

console.log(JSON.stringify({ whole, two, chunks }));
